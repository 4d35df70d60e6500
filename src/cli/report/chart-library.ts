/** The charting library as text, to be put into a page that loads nothing. */
export interface ChartLibrary {
  script: string;
  style: string;
}
