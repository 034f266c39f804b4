/** The flag that names a job. A plain option: reading it must not load oclif. */

export const jobFlag = {
  description: 'job: 1234, 1234_7, oar:1234, or current inside a job',
  helpValue: 'ID',
};
