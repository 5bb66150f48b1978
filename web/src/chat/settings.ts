// What the next answer will be asked for with: the conversation's settings over the user's habits over the server's default.
import type { AppModel, ConversationSettings } from "../../../src/server/app/protocol.ts";
import { changeSettings, open } from "../state/conversation.ts";
import { useModels } from "../state/library.ts";
import { prefer, usePreferences } from "../state/preferences.ts";
import { useStore } from "../state/store.ts";

export function useChatSettings(): {
  settings: ConversationSettings;
  model: AppModel | undefined;
  change(change: Partial<ConversationSettings>): void;
} {
  const own = useStore(open, ({ state }) => state.settings);
  const { models, default: fallback } = useModels();
  const { thinking, model: habit, inside } = usePreferences();
  const known = (name: string | undefined) => models.find((one) => one.name === name);
  const name = own.model ?? known(habit)?.name ?? fallback ?? undefined;
  const model = known(name);
  const settings: ConversationSettings = { ...own, model: name, inside: inside ?? false };
  if (model?.thinking) settings.thinking = own.thinking ?? thinking ?? true;
  else delete settings.thinking;
  if (settings.effort !== undefined && !model?.efforts.includes(settings.effort)) delete settings.effort;
  return {
    settings,
    model,
    change: (change) => {
      if (change.model !== undefined) prefer({ model: change.model });
      if (change.thinking !== undefined) prefer({ thinking: change.thinking });
      const { inside: _, ...rest } = settings;
      changeSettings({ ...rest, ...change });
    },
  };
}
