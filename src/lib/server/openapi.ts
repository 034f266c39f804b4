/**
 * The OpenAPI document (`/openapi.json`) and its page (`/docs`). Routes describe themselves with `describeRoute`; the
 * descriptions are for people, and requests are checked by parameters.ts, whose messages say what to change.
 */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema, RouteShorthandOptions } from 'fastify';
import { type AnswerDescription, ERROR } from './answerSchemas.ts';

/** Of a parameter in a query or of a member of a body. */
export interface ParameterDescription {
  readonly type: 'string' | 'boolean' | 'integer' | 'number' | 'object' | 'array';
  readonly description: string;
  readonly example?: unknown;
}

export interface RouteDescription {
  readonly tag: 'metrics' | 'push' | 'optional metrics' | 'jobs' | "Grid'5000" | 'server';
  readonly summary: string;
  readonly description?: string;
  readonly query?: Readonly<Record<string, ParameterDescription>>;
  /** Members of a JSON body. */
  readonly body?: Readonly<Record<string, ParameterDescription>>;
  /** Of status 200. */
  readonly answer: AnswerDescription;
}

/** With the answers, which Fastify itself must not see: it would write them by their schemas. */
interface DescribedSchema extends FastifySchema {
  answer?: AnswerDescription;
}

/** Options of a route: what the document says about it, and no checks. */
export function describeRoute(route: RouteDescription): RouteShorthandOptions {
  const { tag, summary, description, query, body, answer } = route;
  const schema: DescribedSchema = { tags: [tag], summary, answer };
  if (description !== undefined) schema.description = description;
  if (query !== undefined) schema.querystring = { type: 'object', properties: query };
  if (body !== undefined) schema.body = { type: 'object', properties: body };
  return { schema, validatorCompiler: () => () => true, exposeHeadRoute: false };
}

/** A schema as the document has it. */
function withAnswers({ answer, ...schema }: DescribedSchema): FastifySchema {
  if (answer === undefined) return schema;
  return {
    ...schema,
    response: { 200: contentOf(answer), '4XX': contentOf(ERROR), '5XX': contentOf(ERROR) },
  };
}

function contentOf({ description, schema, types = ['application/json'] }: AnswerDescription) {
  const text = { type: 'string' };
  const content = types.map((type) => [type, { schema: type === 'application/json' ? schema : text }]);
  return { description, content: Object.fromEntries(content) };
}

/**
 * What the page may do. The default of its package sends a browser to https, which leaves the page blank where kw serve speaks
 * plain HTTP, and lets it load from other hosts; it sets styles in its own elements.
 */
const PAGE_POLICY =
  "default-src 'self'; base-uri 'self'; frame-ancestors 'none'; img-src 'self' data:; object-src 'none'; " +
  "script-src 'self'; script-src-attr 'none'; style-src 'self' 'unsafe-inline'";

/** Before the routes: those that are registered later are in the document. */
export function registerOpenapi(app: FastifyInstance, version: string): void {
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'kw serve',
        version,
        description:
          'Metrics of a testbed: the API of Kwollect, and what kw adds. docs/http-api.md tells more.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      // Where the site allows it, reading needs no token.
      security: [{ token: [] }, {}],
    },
    transform: ({ schema, url }) => ({ schema: withAnswers(schema ?? {}), url }),
  });
  void app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    theme: { title: 'kw serve: API' },
    // Without the bar that offers to load another document: the policy forbids it.
    uiConfig: { layout: 'BaseLayout' },
  });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}
