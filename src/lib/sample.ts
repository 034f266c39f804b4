/**
 * What kw keeps: samples of series. Every part of kw speaks of measurements in these types.
 */

/** Labels of a series: text to text, as in Prometheus. Names that begin with `_` come only from configuration. */
export type Labels = Readonly<Record<string, string>>;

/**
 * The identity of a row apart from its time and value.
 * Drivers keep one Series object for each thing that they read and hand the same object out at every poll:
 * the encoder of rows remembers the encoded bytes by object, so that a sample costs a copy and two numbers.
 */
export interface Series {
  readonly deviceId: string;
  readonly metricId: string;
  readonly labels: Labels;
}

/** One measured value. */
export interface Sample {
  readonly series: Series;
  /**
   * Microseconds since 1970-01-01T00:00:00Z, an integer. A double holds it exactly until the year 2255.
   * Never a Date, which has milliseconds only.
   */
  readonly timestampUs: number;
  /** May be NaN or infinite. A text value is NaN with the text in the label `value_str`, as in Kwollect. */
  readonly value: number;
}
