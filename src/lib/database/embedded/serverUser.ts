/**
 * Which user the embedded server runs as. PostgreSQL refuses to run as root, so root hands it to another user;
 * everybody else runs it as themselves.
 */
import { readFileSync, statSync } from 'node:fs';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
  /** True when it is not the user of this process: files must be handed over, and paths be passable. */
  readonly isOther: boolean;
}

/** The first of these that exists; `postgres` because that is what it is for. */
const CANDIDATES = ['postgres', 'nobody'];
const OVERFLOW_ID = 65_534;

/** `existingData`: a data folder whose owner decides, if it exists. */
export function serverUser(existingData?: string): ServerUser {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid !== 0 || process.getuid === undefined) return { uid, gid, isOther: false };
  const owner = existingData === undefined ? undefined : statSync(existingData, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, isOther: true };
  return { ...userToBecome(), isOther: true };
}

function userToBecome(): { uid: number; gid: number } {
  const users = new Map<string, { uid: number; gid: number }>();
  for (const line of readPasswd().split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name && Number(uid) > 0) users.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  for (const name of CANDIDATES) {
    const user = users.get(name);
    if (user) return user;
  }
  return { uid: OVERFLOW_ID, gid: OVERFLOW_ID };
}

function readPasswd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8');
  } catch {
    return '';
  }
}
