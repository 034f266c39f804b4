/**
 * The commands that prologs and epilogs run, without oclif: a job waits for them, and oclif takes longer to load
 * than they need for everything else. Only the plain cases, with known flags and nothing missing, are taken
 * here; help, mistakes and everything else go to oclif, which knows the same commands (a test compares them).
 */
import { parseArgs } from 'node:util';
import { EXIT_FAILURE, KwError } from '../lib/errors.ts';
import { printableLines } from '../lib/printable.ts';
import type { PrologIo } from '../lib/prolog/commands.ts';
import { errorJson, machineJson } from './json.ts';

type Value = string | boolean | (string | boolean)[] | undefined;
type Values = Record<string, Value>;

export interface QuickCommand {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, { type: 'string' | 'boolean'; multiple?: boolean }>>;
  readonly arguments: { readonly min: number; readonly max: number };
  /** Flags of which each must be given. */
  readonly required: readonly string[];
  /** Flags of which exactly one must be given. */
  readonly exactlyOne: readonly string[];
}

const string = { type: 'string' } as const;
const boolean = { type: 'boolean' } as const;
const common = { timeout: string, config: string, database: string, url: string, json: boolean };

export const QUICK_COMMANDS = {
  enable: {
    words: ['enable'],
    options: { ...common, device: string, job: string, for: string, force: boolean },
    arguments: { min: 1, max: 1 },
    required: [],
    exactlyOne: ['device', 'job'],
  },
  disable: {
    words: ['disable'],
    options: { ...common, device: string, job: string, all: boolean },
    arguments: { min: 0, max: 1 },
    required: [],
    exactlyOne: ['device', 'job', 'all'],
  },
  jobStart: {
    words: ['job', 'start'],
    options: {
      ...common,
      job: string,
      nodes: string,
      user: string,
      at: string,
      name: string,
      source: string,
      comment: string,
      monitor: boolean,
      enable: { type: 'string', multiple: true },
    },
    arguments: { min: 0, max: 0 },
    required: ['job', 'nodes'],
    exactlyOne: [],
  },
  jobStop: {
    words: ['job', 'stop'],
    options: { ...common, job: string, at: string, nodes: string },
    arguments: { min: 0, max: 0 },
    required: ['job'],
    exactlyOne: [],
  },
} as const satisfies Record<string, QuickCommand>;

type QuickName = keyof typeof QUICK_COMMANDS;

/** Runs the command if it is one of the plain cases. Resolves to whether it did. */
export async function runQuick(argv: readonly string[]): Promise<boolean> {
  const parsed = parseQuick(argv);
  if (parsed === undefined) return false;
  const json = parsed.values.json === true;
  try {
    const result = await run(parsed, {
      json,
      note: (line) => tell(line),
    });
    if (json) process.stdout.write(`${JSON.stringify(machineJson(result), null, 2)}\n`);
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    const { message, hint } = error;
    if (json) process.stdout.write(`${JSON.stringify(errorJson(error), null, 2)}\n`);
    else tell(`kw: ${message}${hint ? `\n    ${hint}` : ''}`);
    process.exitCode = error.exit ?? EXIT_FAILURE;
  }
  return true;
}

function tell(text: string): void {
  process.stderr.write(`${printableLines(text)}\n`);
}

interface Parsed {
  name: QuickName;
  values: Values;
  positionals: string[];
}

/** Undefined is a case for oclif. */
export function parseQuick(argv: readonly string[]): Parsed | undefined {
  for (const name of Object.keys(QUICK_COMMANDS) as QuickName[]) {
    const command: QuickCommand = QUICK_COMMANDS[name];
    if (!command.words.every((word, index) => argv[index] === word)) continue;
    try {
      const { values, positionals, tokens } = parseArgs({
        args: argv.slice(command.words.length),
        options: command.options,
        allowPositionals: true,
        tokens: true,
      });
      const plain =
        positionals.length >= command.arguments.min &&
        positionals.length <= command.arguments.max &&
        command.required.every((flag) => values[flag] !== undefined) &&
        (command.exactlyOne.length === 0 ||
          command.exactlyOne.filter((flag) => values[flag] !== undefined).length === 1) &&
        !tokens.some((token) => token.kind === 'option-terminator');
      if (values.url !== undefined && values.database !== undefined) return undefined;
      return plain ? { name, values: { ...values }, positionals } : undefined;
    } catch {
      return undefined;
    }
  }
  return undefined;
}

async function run({ name, values, positionals }: Parsed, io: PrologIo): Promise<unknown> {
  const commands = await import('../lib/prolog/commands.ts');
  const common = {
    timeout: text(values.timeout),
    config: text(values.config),
    database: text(values.database),
    url: text(values.url),
  };
  const target = { device: text(values.device), job: text(values.job) };
  switch (name) {
    case 'enable': {
      const flags = { ...common, ...target, for: text(values.for), force: values.force === true };
      return commands.runEnable(positionals[0] ?? '', flags, io);
    }
    case 'disable':
      return commands.runDisable(positionals[0], { ...common, ...target }, io);
    case 'jobStart': {
      const flags = {
        ...common,
        job: text(values.job) ?? '',
        nodes: text(values.nodes) ?? '',
        user: text(values.user),
        at: text(values.at),
        name: text(values.name),
        source: text(values.source),
        comment: text(values.comment),
        monitor: values.monitor === true,
        enable: Array.isArray(values.enable) ? values.enable.map(String) : [],
      };
      return commands.runJobStart(flags, io);
    }
    case 'jobStop': {
      const flags = {
        ...common,
        job: text(values.job) ?? '',
        at: text(values.at),
        nodes: text(values.nodes),
      };
      return commands.runJobStop(flags, io);
    }
  }
}

function text(value: Value): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
