/** The base of every command: how errors look, and what --json means. */
import { format } from 'node:util';
import { Command } from '@oclif/core';
import { EXIT_FAILURE, KwError } from '../lib/errors.ts';
import { printableLines } from '../lib/printable.ts';
import { errorJson, machineJson } from './json.ts';
import { usageError } from './usageError.ts';

export abstract class KwCommand extends Command {
  /** Names from devices and users cannot act on the terminal, whatever a command prints. */
  override log(message = '', ...values: unknown[]): void {
    super.log('%s', printableLines(format(message, ...values)));
  }

  override logToStderr(message = '', ...values: unknown[]): void {
    super.logToStderr('%s', printableLines(format(message, ...values)));
  }

  /**
   * Expected failures and mistakes in flags become one sentence and a hint on stderr (with --json: an object on
   * stdout), and their exit code; everything else goes to oclif, which shows defects.
   */
  protected override async catch(thrown: Error & { exitCode?: number }): Promise<unknown> {
    const error = thrown instanceof KwError ? thrown : this.#usageError(thrown);
    if (error === undefined) return super.catch(thrown);
    if (this.jsonEnabled()) {
      this.logJson(errorJson(error));
    } else {
      this.logToStderr(`kw: ${error.message}`);
      if (error.hint) this.logToStderr(`    ${error.hint}`);
    }
    return this.exit(error.exit ?? EXIT_FAILURE);
  }

  /** See json.ts. */
  protected override toSuccessJson(result: unknown): unknown {
    return machineJson(result);
  }

  #usageError(error: Error): KwError | undefined {
    const command = `${this.config.bin} ${(this.id ?? '').replaceAll(':', ' ')}`;
    return usageError(error, command, Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags }));
  }
}
