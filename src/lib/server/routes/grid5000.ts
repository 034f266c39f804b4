/**
 * The API in the form of Grid'5000's (https://api.grid5000.fr/stable): the metrics of a site, and as much of the reference
 * API as clients of the metrics read.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Client } from 'pg';
import { siteName } from '../../tokens/store.ts';
import * as answers from '../answerSchemas.ts';
import { describeMetrics, readClusters } from '../clusterMetrics.ts';
import type { ServerContext } from '../context.ts';
import { sendMetrics } from '../getMetrics.ts';
import { sendInserted } from '../insertMetrics.ts';
import { describeRoute } from '../openapi.ts';
import { HttpProblem } from '../problem.ts';
import { queryParameters } from '../requestParameters.ts';
import { getMetrics, insertMetrics } from './rpcDescriptions.ts';

/** Versions of that API that clients ask for. */
const PREFIXES = ['', '/stable', '/sid', '/3.0', '/4.0'];
const SITE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

const tag = "Grid'5000";
const DESCRIBED = {
  sites: describeRoute({ tag, summary: 'the site, as a collection', answer: answers.SITES }),
  site: describeRoute({ tag, summary: 'the site', answer: answers.ONE_SITE }),
  metrics: describeRoute({ ...getMetrics('GET'), tag }),
  push: describeRoute({ ...insertMetrics, tag }),
  clusters: describeRoute({ tag, summary: 'clusters of the site', answer: answers.CLUSTERS }),
  cluster: describeRoute({
    tag,
    summary: 'nodes and metrics of a cluster',
    answer: answers.CLUSTER,
  }),
};

interface SitePath {
  readonly site: string;
}

interface ClusterPath extends SitePath {
  readonly cluster: string;
}

export function registerGrid5000(app: FastifyInstance, context: ServerContext): void {
  const read = <T>(request: FastifyRequest, use: (client: Client) => Promise<T>) =>
    context.withCaller(request, use, { readOnly: true });

  for (const prefix of PREFIXES) {
    app.get(`${prefix}/sites`, DESCRIBED.sites, async (request) => {
      const site = await read(request, siteName);
      return collection(site === undefined ? [] : [siteOf(site)]);
    });
    app.get<{ Params: SitePath }>(`${prefix}/sites/:site`, DESCRIBED.site, async (request) => {
      const { site } = request.params;
      await read(request, (client) => checkSite(client, site));
      return siteOf(site);
    });
    app.get<{ Params: SitePath }>(
      `${prefix}/sites/:site/metrics`,
      DESCRIBED.metrics,
      async (request, reply) => {
        const { site } = request.params;
        return await sendMetrics(context, request, reply, queryParameters(request), (client) =>
          checkSite(client, site),
        );
      },
    );
    app.post<{ Params: SitePath }>(
      `${prefix}/sites/:site/metrics`,
      DESCRIBED.push,
      async (request, reply) => {
        const { site } = request.params;
        return await sendInserted(context, request, reply, (client) => checkSite(client, site));
      },
    );
    app.get<{ Params: SitePath }>(`${prefix}/sites/:site/clusters`, DESCRIBED.clusters, async (request) => {
      const clusters = await read(request, async (client) => {
        await checkSite(client, request.params.site);
        return await readClusters(client);
      });
      return collection([...clusters.keys()].map((uid) => ({ uid, type: 'cluster' })));
    });
    app.get<{ Params: ClusterPath }>(
      `${prefix}/sites/:site/clusters/:cluster`,
      DESCRIBED.cluster,
      async (request) => {
        const { site, cluster } = request.params;
        return await read(request, async (client) => {
          await checkSite(client, site);
          const nodes = (await readClusters(client, cluster)).get(cluster);
          if (nodes === undefined) {
            throw new HttpProblem(404, 'NO_SUCH_CLUSTER', `there is no cluster ${JSON.stringify(cluster)}`, {
              hint: `GET ${prefix}/sites/${site}/clusters lists them`,
            });
          }
          return { uid: cluster, type: 'cluster', nodes, metrics: await describeMetrics(client, nodes) };
        });
      },
    );
  }
}

function siteOf(uid: string): Record<string, unknown> {
  return { uid, name: uid, type: 'site' };
}

function collection(items: readonly unknown[]): Record<string, unknown> {
  return { total: items.length, offset: 0, items };
}

/** Where the database has no name of a site each will do. */
async function checkSite(client: Client, asked: string): Promise<void> {
  const site = await siteName(client);
  if (site === undefined ? SITE_NAME.test(asked) : site === asked) return;
  throw new HttpProblem(404, 'NO_SUCH_SITE', `there is no site ${JSON.stringify(asked.slice(0, 100))}`, {
    hint: site === undefined ? undefined : `this is ${site}`,
  });
}
