/** The other side of `child.ts`: runs one file under mocha and prints its events. */
import MochaClass from 'mocha';
import { runFiles, stray, type TestEvent } from '../harness.ts';
import { type ChildTask, MARK } from './child.ts';
import { loadBuilt } from './node.ts';

const { file, options } = JSON.parse(process.argv.at(-1) ?? '') as ChildTask;
const emit = (event: TestEvent) => console.log(MARK + JSON.stringify(event));
process.on('unhandledRejection', (error) => emit(stray(error)));
await runFiles(MochaClass, [file], loadBuilt, emit, options);
process.exit(0);
