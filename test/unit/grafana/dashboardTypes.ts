/**
 * What a dashboard of kw is, in the types that Grafana publishes (@grafana/schema): those of its JSON, with options and
 * fields of each kind of panel that kw uses.
 */
import type {
  AnnotationQuery,
  Dashboard,
  DataSourceRef,
  GraphFieldConfig,
  Panel,
  TableFieldOptions,
  VariableModel,
} from '@grafana/schema';
import type { Options as BarGaugeOptions } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as StateFields,
  Options as StateOptions,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** A type as its JSON: members of enumerations are written as their values. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends readonly (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

/** What the data source's own editor writes. */
interface SqlQuery {
  refId: string;
  datasource?: DataSourceRef;
  format: 'table' | 'time_series';
  editorMode: 'code' | 'builder';
  rawQuery: boolean;
  rawSql: string;
}

type KwPanel<Type extends string, Options, Fields> = Omit<
  Json<Panel<Options, Fields>>,
  'type' | 'targets' | 'options'
> & {
  type: Type;
  targets: SqlQuery[];
  options: Json<Partial<Options>>;
};

export type KwDashboard = Omit<Json<Dashboard>, 'panels' | 'annotations' | 'templating'> & {
  panels: (
    | KwPanel<'timeseries', TimeSeriesOptions, GraphFieldConfig>
    | KwPanel<'table', TableOptions, Partial<TableFieldOptions>>
    | KwPanel<'stat', StatOptions, Record<string, never>>
    | KwPanel<'bargauge', BarGaugeOptions, Record<string, never>>
    | KwPanel<'state-timeline', StateOptions, StateFields>
  )[];
  annotations: { list: (Omit<Json<AnnotationQuery>, 'target'> & { target: SqlQuery })[] };
  templating: { list: Json<VariableModel>[] };
};
