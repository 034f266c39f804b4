/** Where followed rows come from: the database itself, or a kw serve. */
import type { LiveRow } from './rows.ts';

export interface FollowRequest {
  readonly jobs: readonly string[] | undefined;
  readonly devices: readonly string[] | undefined;
  readonly metrics: readonly string[] | undefined;
  readonly labels: readonly string[] | undefined;
}

export interface FollowListener {
  /** The request is right, and rows will come. Told once. */
  open(): void;
  /** In order of time within one call. */
  rows(rows: readonly LiveRow[]): void;
  warning(message: string): void;
}

/**
 * Follows until the signal, over interruptions.
 * @throws KwError what is wrong at the beginning, or for good
 */
export type FollowSource = (
  request: FollowRequest,
  listener: FollowListener,
  signal: AbortSignal,
) => Promise<void>;
