/**
 * One group of OIDs of one agent, read together: as few PDUs as they fit in, one after another, one time stamp
 * for all. What a poll asks is laid out once and laid out again only when something changed: an index of a
 * template, the size that the agent bears, an OID that it refuses.
 *
 * A read goes through these, by callbacks and with one promise in all (of a poll of one value each promise is a
 * noticeable part):
 *
 *   read -> round (walks what is due) -> lay out -> ask a PDU -> its outcome -> ... -> end of the pass -> finish
 *             ^                                        ^----- next PDU ---'                   |
 *             '---------------------- indexes changed meanwhile, once -----------------------'
 */
import { labelsProblem } from '../../limits.ts';
import type { Sample, Series } from '../../sample.ts';
import type { Fact, MetricRequest, Poll, PollResult, Problem } from '../driver.ts';
import type { AgentState } from './agentState.ts';
import { type Failure, type Outcome, SnmpRequest } from './client.ts';
import { ErrorStatus, encodeGet, errorName, isNumeric, Tag } from './codec.ts';
import { formatOid, MAX_ARCS, type Oid, OidSyntaxError, parseOid } from './oid.ts';
import { joinOid, type OidTemplate, type SnmpUrl } from './url.ts';
import { isMissing, quote, readValue, typeName, valueText } from './value.ts';

/** A request is kept below this, and with it an answer of numbers below one Ethernet frame. */
const MAX_REQUEST_OCTETS = 1_200;
/** Octets of one varbind apart from its OID: tags, lengths, and the number that the answer brings. */
const VARBIND_OCTETS = 10;
/** An OID that the agent refuses (v1) is asked for again after this, doubling to the maximum. */
const REFUSED_RETRY_MS = 30_000;
const REFUSED_RETRY_MAX_MS = 600_000;
/** Distinct texts of one metric that are remembered as series. */
const MAX_TEXTS = 16;
const SYS_UP_TIME = parseOid('1.3.6.1.2.1.1.3.0');

/** One metric of a poll. */
interface Item {
  readonly metric: MetricRequest<SnmpUrl>;
  readonly series: Series;
  readonly scale: number;
  readonly templates: readonly OidTemplate[];
  oid: Oid | undefined;
  /** Series with the label value_str, by text. */
  texts: Map<string, Series> | undefined;
  /** Since the agent refused the OID: when to ask again, and the back-off. */
  retryAtMs: number;
  retryMs: number;
  /** What is wrong with it as long as it is not asked for, or undefined. */
  problem: Problem | undefined;
  /** Said when the agent has no such instance. Made once. */
  missing: Problem | undefined;
}

/** One PDU: `items[i]` is its varbind i, after sysUpTime where `hasUpTime`. */
interface Chunk {
  readonly items: readonly Item[];
  readonly hasUpTime: boolean;
  readonly request: SnmpRequest;
}

/** One pass over all chunks, and what it found. */
interface Pass {
  /** PDUs to ask, the next one's place, and those that were answered. */
  queue: readonly Chunk[];
  next: number;
  readonly answered: Chunk[];
  samples: Sample[];
  problems: Problem[];
  /** The answered attempts: the middle of the first's request and the last's answer is the time of all. */
  sentUs: number;
  receivedUs: number;
  failure: Failure | undefined;
  /** Indexes changed while reading: worth another pass. */
  isStale: boolean;
}

function newPass(queue: readonly Chunk[]): Pass {
  return {
    queue,
    next: 0,
    answered: [],
    samples: [],
    problems: [],
    sentUs: 0,
    receivedUs: 0,
    failure: undefined,
    isStale: false,
  };
}

/** Between two reads. */
const NO_PASS = newPass([]);
const ignore = (): void => {};

export class SnmpPoll implements Poll {
  readonly #agent: AgentState;
  readonly #items: Item[];
  readonly #hasTemplates: boolean;
  /** PDUs asked so far, apart from retries and walks. */
  requests = 0;
  #chunks: Chunk[] = [];
  /** What the layout was made from; it is made again when one differs. */
  #generation = -1;
  #maxOids = 0;
  #isLaidOut = false;
  #asksUpTime: boolean;
  /** The earliest time at which a refused OID is to be asked for again. */
  #retryAtMs = Number.POSITIVE_INFINITY;
  // The read that is under way.
  #startedMs = 0;
  #deadlineMs = 0;
  #stepMs = 0;
  #pass = NO_PASS;
  /** The first pass, when indexes changed in it and a second one is under way. */
  #stalePass: Pass | undefined;
  #resolve: (result: PollResult) => void = ignore;
  #reject: (error: unknown) => void = ignore;

  constructor(agent: AgentState, metrics: readonly MetricRequest<SnmpUrl>[]) {
    this.#agent = agent;
    this.#items = metrics.map(makeItem);
    this.#hasTemplates = this.#items.some((item) => item.templates.length > 0);
    this.#asksUpTime = this.#hasTemplates;
    for (const item of this.#items) for (const template of item.templates) agent.templates.want(template);
  }

  read(timeoutMs: number): Promise<PollResult> {
    this.#startedMs = performance.now();
    this.#deadlineMs = this.#startedMs + timeoutMs;
    this.#stepMs = timeoutMs / 3;
    this.#stalePass = undefined;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#round();
    });
  }

  #round(): void {
    // Walks may take half of the time that is left; they go on in the background.
    const walks = this.#hasTemplates
      ? this.#agent.templates.refresh((performance.now() + this.#deadlineMs) / 2)
      : undefined;
    if (walks) walks.then(() => this.#beginPass()).catch(this.#reject);
    else this.#beginPass();
  }

  /** Distributes what can be asked for over PDUs. */
  #layOut(nowMs: number): void {
    const { templates, limits } = this.#agent;
    if (
      this.#isLaidOut &&
      this.#generation === templates.generation &&
      this.#maxOids === limits.maxOids &&
      nowMs < this.#retryAtMs
    )
      return;
    this.#isLaidOut = true;
    this.#generation = templates.generation;
    this.#maxOids = limits.maxOids;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    const chunks: Chunk[] = [];
    let items: Item[] = [];
    let hasUpTime = this.#asksUpTime && this.#hasTemplates;
    let octets = hasUpTime ? SYS_UP_TIME.length + VARBIND_OCTETS : 0;
    const flush = () => {
      if (items.length > 0) chunks.push(this.#chunk(items, hasUpTime));
      hasUpTime = false;
      items = [];
      octets = 0;
    };
    for (const item of this.#items) {
      if (!this.#isAskable(item, nowMs)) continue;
      const more = (item.oid?.length ?? 0) + VARBIND_OCTETS;
      const count = items.length + (hasUpTime ? 1 : 0);
      if (count >= this.#maxOids || (count > 0 && octets + more > MAX_REQUEST_OCTETS)) flush();
      items.push(item);
      octets += more;
    }
    flush();
    this.#chunks = chunks;
  }

  /** Resolves the item's OID; sets its problem when it cannot be asked for now. */
  #isAskable(item: Item, nowMs: number): boolean {
    if (item.retryAtMs > nowMs && item.problem) {
      this.#retryAtMs = Math.min(this.#retryAtMs, item.retryAtMs);
      return false;
    }
    item.problem = undefined;
    if (item.templates.length === 0) return true;
    const { templates } = this.#agent;
    const { metricId, url } = item.metric;
    const text = joinOid(url.oid, (template) => templates.indexOf(template));
    item.missing = undefined;
    if (text === undefined) {
      const unresolved = item.templates.find((template) => templates.indexOf(template) === undefined);
      item.oid = undefined;
      item.problem = { ...templates.failureOf(unresolved ?? (item.templates[0] as OidTemplate)), metricId };
      return false;
    }
    try {
      item.oid = parseOid(text);
      return true;
    } catch (error) {
      if (!(error instanceof OidSyntaxError)) throw error;
      // An index from the agent may make the whole too long.
      item.problem = { kind: 'limit', message: `the OID has more than ${MAX_ARCS} numbers`, metricId };
      return false;
    }
  }

  #chunk(items: readonly Item[], hasUpTime: boolean): Chunk {
    const oids = items.map((item) => item.oid as Oid);
    const pdu = encodeGet(Tag.getRequest, hasUpTime ? [SYS_UP_TIME, ...oids] : oids);
    // An answer echoes what was asked; one with more varbinds is not sound.
    return { items, hasUpTime, request: new SnmpRequest(this.#agent.client.url, pdu, pdu.oids.length) };
  }

  #beginPass(): void {
    this.#layOut(this.#startedMs);
    this.#pass = newPass(this.#chunks);
    this.#askNext();
  }

  #askNext(): void {
    const { queue, next } = this.#pass;
    const chunk = queue[next];
    if (chunk === undefined) {
      this.#endPass();
      return;
    }
    this.requests++;
    this.#agent.client.start(chunk.request, this.#deadlineMs, this.#stepMs, this.#onOutcome);
  }

  readonly #onOutcome = (outcome: Outcome): void => {
    const pass = this.#pass;
    try {
      if (outcome.ok) {
        this.#takeAnswer(pass.queue[pass.next++] as Chunk, pass);
        this.#askNext();
      } else {
        pass.failure = outcome.failure;
        this.#endPass();
      }
    } catch (error) {
      // Thrown further, into a socket or a timer, it would end the process.
      this.#reject(error);
    }
  };

  #takeAnswer(chunk: Chunk, pass: Pass): void {
    const { request } = chunk;
    if (pass.sentUs === 0) pass.sentUs = request.sentUs;
    pass.receivedUs = request.receivedUs;
    const { errorStatus, count } = request.response;
    if (errorStatus !== ErrorStatus.noError) {
      const smaller = this.#refused(chunk, pass);
      if (smaller === undefined) return;
      pass.queue = [...pass.queue.slice(0, pass.next), ...smaller, ...pass.queue.slice(pass.next)];
      this.#isLaidOut = false;
    } else if (count === request.pdu.oids.length) {
      // Its samples get the time of the whole poll, which the last answer sets.
      pass.answered.push(chunk);
    } else {
      pass.problems.push({
        kind: 'protocol',
        message: `the agent answered ${count} values instead of ${request.pdu.oids.length}`,
        count: chunk.items.length,
      });
    }
  }

  #endPass(): void {
    const pass = this.#pass;
    if (this.#hasTemplates) this.#checkRestart(pass.answered, pass);
    const timestampUs = Math.round((pass.sentUs + pass.receivedUs) / 2);
    for (const chunk of pass.answered) this.#take(chunk, timestampUs, pass);
    if (this.#stalePass) this.#finish(pass.failure ? this.#stalePass : pass);
    else if (pass.isStale && this.#deadlineMs - performance.now() > this.#stepMs) {
      this.#stalePass = pass;
      this.#round();
    } else this.#finish(pass);
  }

  #finish({ samples, problems, failure, sentUs, receivedUs }: Pass): void {
    // Only now: what was not asked for in the first round may have been found in the second.
    for (const item of this.#items) if (item.problem) problems.push(item.problem);
    if (failure) problems.push(failure);
    const { client } = this.#agent;
    const strays = client.takeStrays();
    if (strays) problems.push(strays);
    // With nothing to ask for at the moment, the device is as its last answer left it.
    const isUp = receivedUs > 0 || (this.#chunks.length === 0 && client.isUp);
    const timestampUs = receivedUs > 0 ? (sentUs + receivedUs) / 2 : client.nowUs();
    this.#resolve({ up: isUp, timestampUs: Math.round(timestampUs), samples, problems });
    // What is kept until the next poll grows old in V8's heap, where it costs more than here.
    this.#pass = NO_PASS;
    this.#stalePass = undefined;
    this.#resolve = ignore;
    this.#reject = ignore;
  }

  /** The agent refused a PDU as a whole: what to ask instead, or undefined when there is nothing. */
  #refused(chunk: Chunk, pass: Pass): Chunk[] | undefined {
    const { errorStatus, errorIndex } = chunk.request.response;
    const { items, hasUpTime } = chunk;
    const first = hasUpTime ? 1 : 0;
    if (errorStatus === ErrorStatus.tooBig && items.length + first > 1) {
      const { limits } = this.#agent;
      limits.maxOids = Math.max(1, Math.min(limits.maxOids, Math.floor((items.length + first) / 2)));
      if (items.length === 1) return [this.#chunk(items, false)];
      const half = Math.ceil(items.length / 2);
      return [this.#chunk(items.slice(0, half), hasUpTime), this.#chunk(items.slice(half), false)];
    }
    if (errorIndex === 1 && hasUpTime) {
      this.#asksUpTime = false;
      return [this.#chunk(items, false)];
    }
    const bad = items[errorIndex - 1 - first];
    if (bad === undefined || errorStatus === ErrorStatus.tooBig) {
      pass.problems.push({
        kind: errorStatus === ErrorStatus.tooBig ? 'limit' : 'protocol',
        message: `the agent refused a request for ${items.length} OIDs: ${errorName(errorStatus)}`,
        count: items.length,
      });
      return undefined;
    }
    this.#putAside(bad, errorStatus, pass);
    const rest = items.filter((item) => item !== bad);
    return rest.length > 0 ? [this.#chunk(rest, hasUpTime)] : [];
  }

  /** One OID spoils its whole PDU (v1, or an agent's own fault): leave it out for a while. */
  #putAside(item: Item, errorStatus: number, pass: Pass): void {
    const { metricId } = item.metric;
    const isMissingOid = errorStatus === ErrorStatus.noSuchName;
    const nowMs = performance.now();
    if (nowMs - item.retryAtMs > REFUSED_RETRY_MAX_MS) item.retryMs = REFUSED_RETRY_MS;
    item.retryAtMs = nowMs + item.retryMs;
    item.retryMs = Math.min(item.retryMs * 2, REFUSED_RETRY_MAX_MS);
    item.problem = {
      kind: isMissingOid ? 'missing' : 'protocol',
      message: `${oidText(item)}: the agent answers ${errorName(errorStatus)}`,
      metricId,
    };
    if (isMissingOid && item.templates.length > 0) {
      // When to ask again is then the templates' affair.
      item.retryAtMs = 0;
      this.#instanceGone(item, pass);
    }
  }

  /** An agent that restarted may have renumbered its rows: what templates gave in this pass is void. */
  #checkRestart(answered: readonly Chunk[], pass: Pass): void {
    const chunk = answered[0];
    let upTime: number | undefined;
    if (chunk?.hasUpTime && chunk.request.response.tag[0] === Tag.timeTicks)
      upTime = chunk.request.response.number[0];
    if (this.#agent.hasRestarted(upTime)) this.#agent.templates.forget();
    // Or another poll of this agent noticed it meanwhile.
    if (this.#agent.templates.generation !== this.#generation) pass.isStale = true;
  }

  /** Samples and problems of one answer. */
  #take(chunk: Chunk, timestampUs: number, pass: Pass): void {
    const { response, pdu } = chunk.request;
    const { items } = chunk;
    const first = chunk.hasUpTime ? 1 : 0;
    for (let index = 0; index < items.length; index++) {
      const item = items[index] as Item;
      const varbind = index + first;
      // After a restart: the row that this index meant is not known to be the same.
      if (pass.isStale && item.templates.length > 0) continue;
      if (!response.hasOid(varbind, pdu.oids[varbind] as Oid)) {
        pass.problems.push(this.#wrongOid(chunk, item, varbind));
        continue;
      }
      const tag = response.tag[varbind] as number;
      const number = response.number[varbind] as number;
      // NaN: not a numeric type, or not a number of it.
      if (!Number.isNaN(number))
        pass.samples.push({ series: item.series, timestampUs, value: number * item.scale });
      else if (isMissing(tag)) {
        item.missing ??= {
          kind: 'missing',
          message: `${oidText(item)}: ${typeName(tag)}`,
          metricId: item.metric.metricId,
        };
        pass.problems.push(item.missing);
        this.#instanceGone(item, pass);
      } else this.#takeOther(chunk, item, varbind, timestampUs, pass);
    }
  }

  #instanceGone(item: Item, pass: Pass): void {
    const { templates } = this.#agent;
    const before = templates.generation;
    for (const template of item.templates) templates.gone(template);
    if (templates.generation !== before) pass.isStale = true;
  }

  #takeOther(chunk: Chunk, item: Item, varbind: number, timestampUs: number, pass: Pass): void {
    const { response } = chunk.request;
    const { metricId } = item.metric;
    const tag = response.tag[varbind] as number;
    const value = readValue(
      tag,
      response.data,
      response.valueStart[varbind] ?? 0,
      response.valueEnd[varbind] ?? 0,
    );
    if (value.kind === 'number') {
      pass.samples.push({ series: item.series, timestampUs, value: value.number * item.scale });
    } else if (value.kind === 'missing') {
      pass.problems.push({ kind: 'missing', message: `${oidText(item)}: ${quote(value.text)}`, metricId });
    } else if (value.kind === 'bad') {
      pass.problems.push({ kind: 'value', message: `${oidText(item)}: ${value.message}`, metricId });
    } else {
      const series = textSeries(item, value.text);
      if (typeof series === 'string')
        pass.problems.push({ kind: 'limit', message: `${oidText(item)}: ${series}`, metricId });
      else pass.samples.push({ series, timestampUs, value: Number.NaN });
    }
  }

  #wrongOid(chunk: Chunk, item: Item, varbind: number): Problem {
    const { response } = chunk.request;
    const answered = formatOid(response.data, response.oidStart[varbind], response.oidEnd[varbind]);
    return {
      kind: 'protocol',
      message: `asked for ${oidText(item)}, the agent answered ${answered.slice(0, 100)}`,
      metricId: item.metric.metricId,
    };
  }

  /** Series of texts that are kept, for tests: it must not grow for ever. */
  get rememberedTexts(): number {
    return this.#items.reduce((sum, item) => sum + (item.texts?.size ?? 0), 0);
  }

  describe(): readonly Fact[] {
    const { client, templates, limits } = this.#agent;
    const { url } = client;
    const facts: Fact[] = [
      { name: 'address', text: `${client.address ?? '(not found)'} udp port ${url.port}` },
    ];
    const { user } = url;
    facts.push({ name: 'version', text: user ? `SNMP v3, ${userText(user)}` : `SNMP v${url.version}` });
    for (const template of this.#items.flatMap((item) => item.templates)) {
      const index = templates.indexOf(template);
      facts.push({
        name: 'resolved',
        text: `{{ ${template.prefix} == ${template.text} }} -> ${index ?? 'no row'}`,
      });
    }
    for (const { items, hasUpTime, request } of this.#chunks) {
      const { response } = request;
      const first = hasUpTime ? 1 : 0;
      if (request.attempts > 1) facts.push({ name: 'attempts', text: String(request.attempts) });
      if (response.pduTag !== Tag.response || response.errorStatus !== 0) continue;
      for (let index = 0; index < items.length && index + first < response.count; index++) {
        const varbind = index + first;
        const tag = response.tag[varbind] ?? 0;
        const text = valueText(
          tag,
          response.data,
          response.valueStart[varbind] ?? 0,
          response.valueEnd[varbind] ?? 0,
        );
        facts.push({ name: 'OID', text: oidText(items[index] as Item) });
        facts.push({
          name: 'type',
          text: typeName(tag) + (tag === Tag.timeTicks ? ' (hundredths of a second)' : ''),
        });
        if (text !== undefined)
          facts.push({ name: 'answer', text: isNumeric(tag) ? text : quote(text, 200) });
      }
    }
    if (limits.maxOids < url.maxOids)
      facts.push({ name: 'limit', text: `${limits.maxOids} OIDs a PDU, since the agent answered tooBig` });
    return facts;
  }
}

function userText(user: NonNullable<SnmpUrl['user']>): string {
  const parts = [`user ${user.name}`, user.level];
  if (user.auth) parts.push(user.auth.protocol);
  if (user.priv) parts.push(user.priv.protocol);
  if (user.context) parts.push(`context ${user.context}`);
  return parts.join(', ');
}

function makeItem(metric: MetricRequest<SnmpUrl>): Item {
  const templates = metric.url.oid.filter((piece) => typeof piece !== 'string');
  return {
    metric,
    series: { deviceId: metric.deviceId, metricId: metric.metricId, labels: metric.labels },
    scale: metric.scaleFactor ?? 1,
    templates,
    oid: templates.length === 0 ? parseOid(joinOid(metric.url.oid, () => undefined) ?? '') : undefined,
    texts: undefined,
    retryAtMs: 0,
    retryMs: REFUSED_RETRY_MS,
    problem: undefined,
    missing: undefined,
  };
}

/**
 * The series of a text value: the metric's own with the label value_str, as in Kwollect. The last few texts
 * keep their Series object; a text too long for a label gives the sentence that says so.
 */
function textSeries(item: Item, text: string): Series | string {
  item.texts ??= new Map();
  const known = item.texts.get(text);
  if (known) return known;
  const labels = { ...item.series.labels, value_str: text };
  const problem = labelsProblem(labels);
  if (problem) return problem;
  const series = { ...item.series, labels };
  if (item.texts.size >= MAX_TEXTS) item.texts.clear();
  item.texts.set(text, series);
  return series;
}

function oidText(item: Item): string {
  return item.oid ? formatOid(item.oid) : '(unresolved)';
}
