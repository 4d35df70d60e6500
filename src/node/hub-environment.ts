/**
 * Where Hugging Face's own tools look for their cache, their token and their hub, so that a machine set up for them is set up
 * for this too. Reads the environment and the file of the token; writes nothing.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

const isTrue = (text: string | undefined) => /^(1|on|yes|true)$/i.test(text ?? '');

function home(env: Environment): string {
  return expanded(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));
}

/** The folder of repositories: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`. */
export function hubCacheFolder(env: Environment = process.env): string {
  return expanded(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home(env), 'hub'));
}

/** What the environment says of hub and network, as options. */
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

/** `$HF_TOKEN`, or what `hf auth login` has left. */
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
