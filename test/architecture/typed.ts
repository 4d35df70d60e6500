/**
 * The project as the compiler sees it, for tests that ask for types. TypeScript calls this interface unstable: it is used
 * only here, and package-lock.json pins the version.
 */
import { resolve } from 'node:path';
import type { Node, SourceFile } from 'typescript/unstable/ast';
import { API, type Checker, type Project } from 'typescript/unstable/sync';

export class TypedSources {
  private readonly api = new API({ cwd: process.cwd() });
  private readonly project: Project;

  constructor(config = 'tsconfig.json') {
    const path = resolve(config);
    const project = this.api.updateSnapshot({ openProjects: [path] }).getProject(path);
    if (!project) throw new Error(`${path} is no project`);
    this.project = project;
  }

  get checker(): Checker {
    return this.project.checker;
  }

  /** A file by its path from the root. */
  file(path: string): SourceFile {
    const source = this.project.program.getSourceFile(resolve(path));
    if (!source) throw new Error(`${path} is not in the project`);
    return source;
  }

  close(): void {
    this.api.close();
  }
}

/** All nodes below a file, in order. */
export function nodesOf(file: SourceFile): Node[] {
  const all: Node[] = [];
  const visit = (node: Node): void => {
    all.push(node);
    node.forEachChild(visit);
  };
  visit(file);
  return all;
}

/** A node's text in one line. */
export function textOfNode(node: Node, file: SourceFile): string {
  return file.text.slice(node.getStart(file), node.end).replace(/\s+/g, ' ');
}
