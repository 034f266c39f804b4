/** Where the parameters of a request are: in its query, or in a JSON body. */
import type { FastifyRequest } from 'fastify';
import type { RawParameters } from './parameters.ts';
import { HttpProblem } from './problem.ts';

export function queryParameters({ query }: FastifyRequest): RawParameters {
  return { ...(query as object) };
}

/** Of the query, or of a body that is a JSON object; what is in the body counts. */
export function allParameters(request: FastifyRequest): RawParameters {
  const { body } = request;
  const query = queryParameters(request);
  if (body === undefined || body === null) return query;
  if (typeof body !== 'object' || Array.isArray(body)) {
    throw new HttpProblem(400, 'BAD_BODY', 'the body is no JSON object', {
      hint: 'write {"job_id": 1234}, and the header Content-Type: application/json',
    });
  }
  return { ...query, ...body };
}
