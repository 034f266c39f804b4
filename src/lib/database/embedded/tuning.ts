/**
 * Settings of the embedded server: those of a machine that has other things to do. They go into its
 * postgresql.conf when it is made, so that an administrator may change them there.
 */
import { totalmem } from 'node:os';

const MB = 1024 * 1024;

/** Name and value, as in postgresql.conf. `durable` false is for tests only: a crash of the machine loses all. */
export function tuning(durable: boolean, totalMemoryBytes: number = totalmem()): Record<string, string> {
  const sharedBuffersMb = Math.min(512, Math.max(32, Math.floor(totalMemoryBytes / MB / 16)));
  return {
    fsync: durable ? 'on' : 'off',
    synchronous_commit: durable ? 'on' : 'off',
    full_page_writes: durable ? 'on' : 'off',
    shared_buffers: `${sharedBuffersMb}MB`,
    max_connections: '60',
    // One lock a partition and index: ten years of days are 3,650 partitions of three relations each.
    max_locks_per_transaction: '512',
    // Compiling queries pays off for long ones only, and the first of each connection costs 100 ms and more.
    jit: 'off',
    checkpoint_timeout: '15min',
    max_wal_size: '1GB',
    // Reads are local and mostly cached; worker processes would only wake up.
    io_method: 'sync',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // Only what is wrong, in files of bounded size; `startLog` removes old ones.
    logging_collector: durable ? 'on' : 'off',
    log_min_messages: 'warning',
    log_filename: 'postgresql-%Y%m%d-%H%M%S.log',
    log_rotation_size: '10MB',
    log_rotation_age: '0',
  };
}
