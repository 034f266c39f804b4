/** Tells the steps of an SNMP session to who listens (`kw device probe --verbose`). Nothing here holds a secret. */
import type { Problem, SessionContext, TraceStep } from '../driver.ts';
import type { Address } from '../shared/hosts.ts';
import { errorName, type RequestPdu, type Response, Tag } from './codec.ts';
import { formatOid } from './oid.ts';
import type { SnmpUrl } from './url.ts';
import type { UsmEngine } from './usm.ts';

type Tell = NonNullable<SessionContext['trace']>;

const OPERATIONS: Readonly<Record<number, string>> = {
  [Tag.getRequest]: 'GET',
  [Tag.getNextRequest]: 'GETNEXT',
  [Tag.getBulkRequest]: 'GETBULK',
};

export class SnmpTrace {
  readonly #url: SnmpUrl;
  readonly #tell: Tell;
  #isAccepted = false;

  constructor(url: SnmpUrl, tell: Tell) {
    this.#url = url;
    this.#tell = tell;
  }

  resolved({ address }: Address): void {
    const { host, port, version, user } = this.#url;
    this.#say('resolve', host === address ? `${address} is an address already` : `${host} is ${address}`);
    this.#say('open', `UDP to ${address} port ${port}: nothing is sent yet`);
    this.#say(
      'authenticate',
      user
        ? `as ${user.name} of SNMP v3, ${user.level}${user.auth ? `, ${user.auth.protocol}` : ''}${user.priv ? `, ${user.priv.protocol}` : ''}`
        : `by the community, in clear text with each request of SNMP v${version}`,
    );
  }

  sent(pdu: RequestPdu, octets: number, attempt: number, engine: UsmEngine | undefined): void {
    const again = attempt > 1 ? `, attempt ${attempt}` : '';
    if (engine && !engine.known) {
      this.#say('authenticate', `asks the agent for its engine id, boots and clock${again}`);
      return;
    }
    const [first] = pdu.oids;
    const operation = OPERATIONS[pdu.bytes[0] ?? 0] ?? 'request';
    const what = first === undefined ? 'nothing' : formatOid(first);
    const more = pdu.oids.length > 1 ? ` and ${pdu.oids.length - 1} more` : '';
    this.#say('read', `${operation} of ${what}${more}, ${octets} octets${again}`);
  }

  learnt(engine: UsmEngine): void {
    this.#say('authenticate', `the agent's engine is ${engine.text}`);
  }

  answered(response: Response, octets: number, tookMs: number): void {
    if (!this.#isAccepted) {
      this.#isAccepted = true;
      const { user } = this.#url;
      const proof = user?.priv ? 'signed and encrypted' : user?.auth ? 'signed' : 'without signature';
      this.#say(
        'authenticate',
        user ? `the answer is ${proof}, as was asked` : 'the agent answers this community',
      );
    }
    const { errorStatus, count } = response;
    const values = count === 1 ? '1 value' : `${count} values`;
    const what = errorStatus === 0 ? values : `error ${errorName(errorStatus)}`;
    this.#say('read', `answer after ${tookMs.toFixed(1)} ms: ${what}, ${octets} octets`);
  }

  failed(failure: Pick<Problem, 'kind' | 'message'>, isResolved: boolean): void {
    const step = failure.kind === 'auth' ? 'authenticate' : isResolved ? 'read' : 'resolve';
    this.#say(step, `failed: ${failure.message}`);
  }

  closed(): void {
    this.#say('close', 'nothing to tell the agent: SNMP has no sessions of its own');
  }

  #say(step: TraceStep['step'], text: string): void {
    this.#tell({ step, text });
  }
}
