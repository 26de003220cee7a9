// What can be undone and redone: the states of one thing, as plain data.

export function history(now) {
  const past = [], future = [];
  return {
    get now() { return structuredClone(now); },
    get canUndo() { return past.length > 0; },
    get canRedo() { return future.length > 0; },
    change(next) {
      if (JSON.stringify(next) === JSON.stringify(now)) return;
      past.push(now);
      future.length = 0;
      now = structuredClone(next);
    },
    undo() { if (past.length) { future.push(now); now = past.pop(); } },
    redo() { if (future.length) { past.push(now); now = future.pop(); } },
    // As if it had been so before the latest change.
    slipUnder(before) { past.push(structuredClone(before)); },
  };
}

// What a key press asks for: "undo", "redo" or nothing.
export function undoKey(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return null;
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? "redo" : "undo";
  return key === "y" && !event.shiftKey ? "redo" : null;
}
