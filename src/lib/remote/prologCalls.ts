/** What prologs and epilogs ask for: loaded without the rest, since a job waits for them. */
import { type StoppedJob, type StopRequest, stopJob } from '../jobs/startJob.ts';
import {
  type Disabled,
  type DisableRequest,
  disableMetrics,
  type Enabled,
  type EnableRequest,
  enableMetrics,
} from '../promotions/enable.ts';
import { type StartedWithMetrics, type StartRequest, startAndEnable } from '../promotions/startAndEnable.ts';
import type { Call } from './call.ts';

/** The end is set anew, from now on: that is all that a second time does. */
export const enableCall: Call<EnableRequest, Enabled> = {
  name: 'enable',
  repeatable: true,
  run: enableMetrics,
};

export const disableCall: Call<DisableRequest, Disabled> = {
  name: 'disable',
  repeatable: false,
  run: disableMetrics,
};

export const jobStartCall: Call<StartRequest, StartedWithMetrics> = {
  name: 'job-start',
  repeatable: true,
  run: startAndEnable,
};

export const jobStopCall: Call<StopRequest, StoppedJob> = {
  name: 'job-stop',
  repeatable: false,
  run: stopJob,
};
