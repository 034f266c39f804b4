/** The base of every command: how errors look, and what --json means. */
import { Command } from '@oclif/core';
import { EXIT_FAILURE, KwError } from './lib/errors.ts';

export abstract class KwCommand extends Command {
  /**
   * Expected failures become one sentence and a hint on stderr (with --json: an object on stdout), and their
   * exit code; everything else goes to oclif, which shows usage errors and defects.
   */
  protected override async catch(error: Error & { exitCode?: number }): Promise<unknown> {
    if (!(error instanceof KwError)) return super.catch(error);
    if (this.jsonEnabled()) {
      this.logJson({ error: { message: error.message, code: error.code, hint: error.hint } });
    } else {
      this.logToStderr(`kw: ${error.message}`);
      if (error.hint) this.logToStderr(`    ${error.hint}`);
    }
    return this.exit(error.exit ?? EXIT_FAILURE);
  }
}
