// The door, where the collector asks who is there.
import { html } from "../lib/html.js";
import { useStore } from "../lib/store.js";
import { denied, useAsToken } from "../lib/token.js";

export function Token() {
  const reason = useStore(denied);
  const enter = (event) => {
    event.preventDefault();
    useAsToken(new FormData(event.target).get("token").trim());
  };
  return html`<div class="screen welcome">
    <h1>Who is there?</h1>
    <p class="lead">This collector shows its runs to whoever has a token.</p>
    <form class="demo" onSubmit=${enter}>
      <label class="searchbox"><span class="unseen">Token</span>
        <input name="token" type="password" autocomplete="current-password" placeholder="Token" required /></label>
      <button type="submit" class="primary">Go on</button>
    </form>
    <p class="hint" role="status">The collector says: ${reason}</p>
  </div>`;
}
