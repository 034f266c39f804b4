/** The charts as one picture, with their names and time: what is seen, in the colours of the theme. */
import type { Charts } from './chart.ts';
import { colour } from './dom.ts';
import { timeText } from './format.ts';

const MARGIN = 16;
const LINE = 20;

/** @returns undefined where nothing is drawn */
export async function makePicture(charts: Charts): Promise<Blob | undefined> {
  const { panels, drawing } = charts;
  const [first] = panels;
  if (first === undefined || drawing === undefined) return undefined;
  const scale = devicePixelRatio;
  const width = first.canvas.width / scale;
  const height = panels.reduce(
    (sum, { canvas, lines }) => sum + canvas.height / scale + LINE * (lines.length + 1),
    2 * MARGIN + LINE,
  );
  const picture = document.createElement('canvas');
  picture.width = (width + 2 * MARGIN) * scale;
  picture.height = height * scale;
  const context = picture.getContext('2d');
  if (context === null) return undefined;
  context.scale(scale, scale);
  context.fillStyle = colour('surface');
  context.fillRect(0, 0, picture.width, picture.height);
  context.textBaseline = 'middle';
  const write = (text: string, x: number, y: number, style: string, weight = 400) => {
    context.font = `${weight} 13px system-ui, "DejaVu Sans", sans-serif`;
    context.fillStyle = style;
    context.fillText(text, x, y, width - x + MARGIN);
  };
  let y = MARGIN + LINE / 2;
  const { time, zone } = drawing;
  const offset = zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone;
  write(
    `${timeText(time.from, zone)} to ${timeText(time.to, zone)} (${offset})`,
    MARGIN,
    y,
    colour('text'),
    600,
  );
  y += LINE;
  for (const { unit, lines, canvas } of panels) {
    write(unit, MARGIN, y, colour('quiet'), 600);
    y += LINE;
    for (const { key } of lines) {
      context.strokeStyle = charts.colourOf(key);
      context.lineWidth = 3;
      context.setLineDash(charts.dashOf(key));
      context.beginPath();
      context.moveTo(MARGIN, y);
      context.lineTo(MARGIN + 22, y);
      context.stroke();
      write(key, MARGIN + 30, y, colour('text'));
      y += LINE;
    }
    context.drawImage(canvas, MARGIN, y - LINE / 2, canvas.width / scale, canvas.height / scale);
    y += canvas.height / scale;
  }
  return await new Promise((resolve) => picture.toBlob((blob) => resolve(blob ?? undefined), 'image/png'));
}

export function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
