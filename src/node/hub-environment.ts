/**
 * The cache, token and hub of Hugging Face's own tools, so that a machine set up for them is also set up for webalign.
 * Reads the environment and the token file; writes nothing.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

const isTrue = (text: string | undefined) => /^(1|on|yes|true)$/i.test(text ?? '');

function home(env: Environment): string {
  return expanded(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));
}

/** The folder of repositories: `$HF_HUB_CACHE`, otherwise `$HF_HOME/hub`, otherwise `~/.cache/huggingface/hub`. */
export function hubCacheFolder(env: Environment = process.env): string {
  return expanded(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home(env), 'hub'));
}

/** Options for hub and network from the environment. */
export async function hubEnvironment(
  env: Environment = process.env,
): Promise<{ endpoint?: string; token?: string; offline?: true }> {
  const token = isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : await hubToken(env);
  return {
    ...(env.HF_ENDPOINT && { endpoint: env.HF_ENDPOINT }),
    ...(token && { token }),
    ...((isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE)) && { offline: true }),
  };
}

/** `$HF_TOKEN`, or the token stored by `hf auth login`. */
async function hubToken(env: Environment): Promise<string | undefined> {
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (given) return given.trim() || undefined;
  const file = expanded(env.HF_TOKEN_PATH || join(home(env), 'token'));
  const kept = await readFile(file, 'utf8').catch(() => '');
  return kept.trim() || undefined;
}

/** A leading `~` is the home folder, as in Python. */
function expanded(path: string): string {
  return path.replace(/^~(?=$|[/\\])/, homedir());
}
