/** The settings of a command, read and complete. */

export interface Settings {
  /** The kw.yaml that was read. */
  readonly file?: string | undefined;
  /** PostgreSQL URL, secrets resolved when it is asked for: throws KwError BAD_REFERENCE then. */
  readonly databaseUrl?: string | undefined;
  /** Files that are read when `databaseUrl` is asked for. */
  readonly databaseFiles: readonly string[];
  /** Where that URL was written: `--database`, `KW_DATABASE_URL` or `database_url in FILE`. */
  readonly databaseNamedBy?: string | undefined;
  /** Of a `kw serve`, where one was named more strongly than a database: what can be asked there is asked there. */
  readonly url?: string | undefined;
  /** Where it was written: `--url`, `KW_URL` or `url in FILE`. */
  readonly urlNamedBy?: string | undefined;
  /** For that server. Resolved when it is asked for, as databaseUrl. */
  readonly token?: string | undefined;
  /** Files that are read when `token` is asked for. */
  readonly tokenFiles: readonly string[];
  /** Certificates of the authorities to believe that server by, instead of the usual ones: PEM, absolute path. */
  readonly caFile?: string | undefined;
  /** Folder of the metric files; absolute. It need not exist. */
  readonly metricsDir: string;
  /** IANA name for tables for people; undefined is the zone of the machine. */
  readonly timeZone?: string | undefined;
  readonly dataFolder: string;
  readonly logLevel: string;
  /** The collector's local endpoint (status and self-metrics); undefined when switched off. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  /** Named credentials, their references not yet resolved: see resolveCredential() in credentials.ts. */
  readonly credentials: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly collector: {
    /** Name in `kw status`; undefined is the host's name. */
    readonly name?: string | undefined;
    /** Encoded batches that memory alone has, since the disk does not take them; the oldest goes when there are more. */
    readonly bufferBytes: number;
    readonly flushIntervalMs: number;
    readonly batchRows: number;
    readonly phaseGridMs: number;
    /** Priority of the process, -20 to 19, where the system allows it. */
    readonly nice: number;
    /**
     * Whether other collectors read a part of the devices: `auto` with those that are configured to, `off` with none; a
     * list of devices: these and no others, as long as this one lives.
     */
    readonly shards: 'auto' | 'off' | readonly string[];
  };
  /** Where what was read waits on the disk until it is stored. */
  readonly spool: {
    readonly enabled: boolean;
    /** Absolute: a folder for each identity of this machine is made in it; undefined is the one in the data folder. */
    readonly folder?: string | undefined;
    /** Undefined: 10 GiB or half of what is free, whichever is less. */
    readonly maxBytes?: number | undefined;
    readonly maxAgeMs: number;
    /** Share of the time in which what waited may keep the database busy. */
    readonly drainShare: number;
  };
  /** Values that `kw push --spool` keeps until they are stored. */
  readonly pushSpool: {
    /** Undefined: 1 GiB or half of what is free. */
    readonly maxBytes?: number | undefined;
  };
  readonly limits: {
    readonly maxPastUs: number;
    readonly maxFutureUs: number;
    /** Distinct label sets per user, metric and day. */
    readonly labelSetsPerDay: number;
  };
  readonly jobs: {
    /** A job that is still running after this is taken for forgotten. */
    readonly runningMaxAgeMs: number;
  };
  /** Of `kw serve`. */
  readonly server: ServerAccess & {
    readonly listen: { readonly host: string; readonly port: number };
    /** Connections to the database; further requests wait a moment. */
    readonly connections: number;
    /** Answers of more than a few hundred kilobytes that are sent at the same time. */
    readonly bigReads: number;
    /** Bound on each statement for a request. */
    readonly statementTimeoutMs: number;
  };
}

/** Who gets in at `kw serve`, how, and how much. */
export interface ServerAccess {
  /** Keys of tokens; absolute. It need not exist. */
  readonly keysFile: string;
  /** Secret of another issuer of tokens. Resolved when it is asked for, as databaseUrl. */
  readonly jwtSecret?: string | undefined;
  /** A proxy that says who the user is. */
  readonly proxy:
    | {
        /** IP addresses and networks in CIDR notation. */
        readonly addresses: readonly string[];
        /** Lower case. */
        readonly userHeader: string;
        readonly role: 'kw_reader' | 'kw_writer';
      }
    | undefined;
  /** Absolute paths of PEM files; undefined: plain HTTP. */
  readonly tls: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  readonly limits: {
    /** Requests a user may send in a minute. */
    readonly userRequests: number;
    /** Requests in a minute from one address that name no user. */
    readonly anonymousRequests: number;
    /** Requests of a user, or of such an address, that may be open at the same time. */
    readonly atOnce: number;
    readonly bodyBytes: number;
  };
}
