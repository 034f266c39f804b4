/** The MQTT driver: values that devices publish at a broker. See stream.ts for how a message flows. */
import type { StreamDriver } from '../driver.ts';
import { MqttStream } from './stream.ts';
import { type MqttUrl, parseMqttUrl, URL_FORM } from './url.ts';

export const mqttDriver: StreamDriver<MqttUrl> = {
  schemes: ['mqtt', 'mqtts'],
  urlForm: URL_FORM,
  parseUrl: parseMqttUrl,
  openStream: (_deviceId, url, context, sink) => new MqttStream(url, context, sink),
};
