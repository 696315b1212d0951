// The console in a real browser, from signing in to a dead letter that is delivered after all:
// `node flow.mjs URL TOKEN PAIR`. Ends with 1 and says why when anything is not as it should be.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { launch, Watch } from "./browser.mjs";
import { receiver } from "./receiver.mjs";
import { button, click, field, fill, follow, link, reads, signIn, text } from "./steps.mjs";

// PAIR: a file with a certificate and its key, as PEM.
const [url, token, pairFile] = process.argv.slice(2);
const pair = await readFile(pairFile, "utf8");
const own = `${url}/tenants/acme`;
const watch = new Watch(url);
const browser = await launch();
const target = await receiver();

const steps = { outside, create, tryOut, live, dead, discard, delivery, change, certificate, events, recover, tenant, visitor, withoutScripts, operator };
const state = {};
try {
  const page = await watch.page(browser);
  for (const [name, step] of Object.entries(steps)) {
    state.step = name;
    await step(page);
    console.log(`${name}: well`);
  }
  watch.settle();
  const sizes = [...watch.bytes].map(([name, size]) => `${name} ${Math.ceil(size / 1024)}`);
  console.log(`KiB to load: ${sizes.join(", ")}`);
} catch (error) {
  console.error(`in "${state.step}":`, error);
  console.error(watch.faults.join("\n"));
  process.exitCode = 1;
} finally {
  target.end();
  await browser.close();
}

/** Who is not signed in sees nothing; a wrong token is told so. */
async function outside(page) {
  await page.goto(`${own}/endpoints`);
  assert.match(page.url(), /\/sign-in\?next=%2Ftenants%2Facme%2Fendpoints$/);
  await watch.check(page, "sign-in");
  await watch.expecting([401], () => signIn(page, url, "no such token"));
  assert.match(await text(page), /This token is not known/);
  assert.equal((await page.cookies()).length, 0);
  await page.goto(`${url}/sign-in?next=//elsewhere.example/`);
  assert.equal(await page.$eval("input[name=next]", (input) => input.value), "", "no way to other sites");
  await signIn(page, url, token);
  assert.equal(page.url(), `${url}/`);
  await watch.check(page, "overview");
  const [cookie] = await page.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Lax"]);
  assert.equal(await page.evaluate(() => document.cookie), "");
}

/** From a profile, with a preview; the secret is shown once. */
async function create(page) {
  await page.goto(`${url}/tenants`);
  await watch.check(page, "tenants");
  await fill(page, field("Tenant"), "acme");
  await follow(page, button("Open"));
  await watch.check(page, "endpoints, none");
  await follow(page, link("New endpoint"));
  await fill(page, "input[name=url]", target.url);
  await fill(page, "input[name=name]", "Website & cache");
  await fill(page, "select[name=profile]", "content-engine");
  await click(page, "::-p-text(All settings)");
  await fill(page, "input[name=retry]", "none");
  await reads(page, "X-Webhook-Event", "#preview");
  await reads(page, "X-Webhook-Signature", "#preview");
  await watch.check(page, "new endpoint");
  await follow(page, button("Create"));
  state.secret = await text(page, "#secret");
  assert.ok(state.secret.length >= 32, state.secret);
  await watch.check(page, "secret");
  await click(page, button("Copy"));
  await page.waitForFunction(() => /Copied|Selected/.test(document.querySelector("[data-copy]").textContent));
  await follow(page, link("Go on to Website & cache"));
  state.endpoint = page.url();
  assert.ok(!(await page.content()).includes(state.secret), "shown once");
  await watch.check(page, "endpoint, no attempt");
}

async function tryOut(page) {
  await follow(page, button("Send a test"));
  await reads(page, "The test succeeded");
  await reads(page, '{"thanks":true}');
  await watch.check(page, "endpoint, tested");
  assert.ok(target.kept.at(-1).headers["x-webhook-signature"]);
}

/** Publishes in a page of its own, and answers with that page: the event's. */
async function publish(page, title) {
  const other = await page.browserContext().newPage();
  watch.watch(other);
  await other.goto(`${own}/events`);
  await click(other, "::-p-text(Publish an event)");
  await fill(other, "form[method=post] input[name=type]", "content.published");
  await fill(other, "textarea[name=data]", JSON.stringify({ title }));
  await follow(other, button("Publish"));
  await reads(other, "The event is published.");
  return other;
}

/** The attempt arrives on a page that is not loaded again. */
async function live(page) {
  await page.goto(state.endpoint);
  await page.waitForSelector(".live:not([hidden])");
  await page.evaluate(() => { window.untouched = true; });
  const other = await publish(page, "first");
  await page.waitForSelector("#attempts tr.good");
  assert.match(await text(page, "#attempts"), /success[\s\S]*content\.published[\s\S]*200/);
  assert.ok(await page.evaluate(() => window.untouched), "no reload");
  await watch.check(page, "endpoint");
  await other.reload();
  await reads(other, "delivered");
  await watch.check(other, "event");
  await other.close();
}

/** The receiver breaks; the dead letter is seen, replayed and delivered. */
async function dead(page) {
  target.status = 500;
  await page.goto(state.endpoint);
  const other = await publish(page, "second");
  state.event = other.url().split("?")[0];
  await page.waitForSelector("#attempts tr.bad");
  await other.close();
  await page.bringToFront();
  await click(page, "#attempts tr.bad summary");
  await reads(page, "<b>broken</b>", "#attempts tr.bad pre");
  await watch.check(page, "endpoint, failing");
  await page.goto(`${url}/dead-letters?tenant=acme`);
  await reads(page, "exhausted");
  await watch.check(page, "dead letters");
  await follow(page, "tbody td.time a");
  await reads(page, '"second"');
  await watch.check(page, "dead letter");
  await page.goBack();
  await watch.expecting([422], () => follow(page, button("Replay…")));
  assert.match(await text(page), /No dead letter was chosen/);
  await page.goBack();
  await click(page, "tbody input[type=checkbox]");
  await follow(page, button("Replay…"));
  await reads(page, "1 dead letter matches");
  await watch.check(page, "replay");
  await fill(page, "input[name=rate]", "quickly");
  await watch.expecting([422], () => follow(page, button("Replay")));
  await page.waitForSelector("[role=alert]");
  await fill(page, "input[name=rate]", "50/s");
  target.status = 200;
  await follow(page, button("Replay"));
  assert.match(page.url(), /\/jobs\//);
  await reads(page, "done");
  await reads(page, "1 of 1 done");
  await watch.check(page, "job");
  await page.goto(state.event);
  for (let tries = 0; tries < 100 && !(await text(page)).includes("delivered"); tries += 1) await page.reload();
  assert.match(await text(page), /delivered/);
  await page.goto(`${url}/dead-letters?tenant=acme`);
  await reads(page, "No dead letter");
}

/** All that match are thrown away, after a question; who did what is kept. */
async function discard(page) {
  target.status = 500;
  await (await publish(page, "third")).close();
  await page.goto(`${url}/dead-letters?tenant=acme`);
  for (let tries = 0; tries < 100 && !(await page.$("tbody tr")); tries += 1) await page.reload();
  await click(page, "input[value=matching]");
  await follow(page, button("Discard…"));
  await reads(page, "That cannot be undone");
  await watch.check(page, "discard");
  await follow(page, button("Discard"));
  await reads(page, "1 of 1 done");
  await page.goto(`${url}/jobs`);
  assert.match(await text(page), /discard[\s\S]*admin[\s\S]*replay[\s\S]*admin/);
  await watch.check(page, "jobs");
  target.status = 200;
}

/** What was sent, made anew without a secret, and what was answered each time. */
async function delivery(page) {
  await page.goto(state.endpoint);
  await follow(page, "#attempts tr.good a[href*='/endpoints/'][href*='/events/']");
  await reads(page, "As it would be sent today");
  await reads(page, `POST ${target.url}`);
  await reads(page, "X-Webhook-Signature: sha256=");
  await reads(page, '{"thanks":true}');
  await watch.check(page, "delivery");
  await page.goto(`${state.event}`);
  await follow(page, "::-p-text(request and answers)");
  await reads(page, '"second"', "pre");
  assert.match(await text(page), /"second"[\s\S]*<b>broken<\/b>/);
}

/** A client certificate is taken if it is one, never shown, and removed. */
async function certificate(page) {
  const [, certificate, key] = pair.match(/([\s\S]+?-----END CERTIFICATE-----\n)([\s\S]+)/);
  await page.goto(`${own}/endpoints/new`);
  await fill(page, "input[name=url]", "https://127.0.0.1:9/");
  await fill(page, "input[name=name]", "Mutual");
  await click(page, "::-p-text(Client certificate)");
  await watch.check(page, "new endpoint with a certificate");
  await fill(page, "textarea[name=certificate]", "no certificate");
  await fill(page, "textarea[name=certificate_key]", "no key");
  await watch.expecting([409, 422], () => follow(page, button("Create")));
  await page.waitForSelector("[role=alert]");
  assert.equal(await page.$eval("textarea[name=certificate_key]", (area) => area.value), "");
  await fill(page, "textarea[name=certificate]", certificate);
  await fill(page, "textarea[name=certificate_key]", key);
  await follow(page, button("Create"));
  await follow(page, link("Go on to Mutual"));
  await reads(page, "client certificate");
  const made = page.url();
  await page.goto(`${made}/edit`);
  assert.ok(!(await page.content()).includes("-----BEGIN"), "shown to nobody");
  await click(page, "::-p-text(Client certificate: there is one)");
  await click(page, "input[name=certificate_removed]");
  await follow(page, button("Save"));
  await reads(page, "Saved.");
  assert.ok(!(await text(page)).includes("client certificate"));
  await page.goto(`${made}/delete`);
  await follow(page, button("Delete it"));
}

/** What an endpoint missed while it was off comes out of the archive. */
async function recover(page) {
  await page.goto(state.endpoint);
  await follow(page, button("Switch off"));
  await (await publish(page, "missed")).close();
  await follow(page, button("Switch on"));
  await follow(page, link("Recover"));
  await watch.check(page, "recover");
  await follow(page, button("Recover"));
  assert.match(page.url(), /\/jobs\//);
  await reads(page, "recover");
  await reads(page, "done");
  const came = () => target.kept.some(({ body }) => body.includes("missed"));
  for (let tries = 0; tries < 200 && !came(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(came());
}

/** Edited, by two at once; switched off and on; its secret rotated; searched. */
async function change(page) {
  await page.goto(`${state.endpoint}/edit`);
  await reads(page, "X-Webhook-Signature", "#preview");
  await watch.check(page, "edit endpoint");
  const stale = await page.browserContext().newPage();
  watch.watch(stale);
  await stale.goto(`${state.endpoint}/edit`);
  await fill(page, "input[name=name]", "Website");
  await fill(page, "input[name=timeout]", "3s");
  await follow(page, button("Save"));
  await reads(page, "Saved.");
  await reads(page, "3s");
  await fill(stale, "input[name=name]", "Mine");
  await watch.expecting([412], () => follow(stale, button("Save")));
  await reads(stale, "Others changed this endpoint meanwhile");
  await stale.close();
  await follow(page, button("Switch off"));
  await reads(page, "The endpoint is switched off.");
  await watch.check(page, "endpoint, off");
  await follow(page, button("Switch on"));
  await follow(page, link("Rotate secret"));
  await watch.check(page, "rotate");
  await follow(page, button("Rotate"));
  const rotated = await text(page, "#secret");
  assert.notEqual(rotated, state.secret);
  await page.goto(`${own}/endpoints?search=WEBSITE`);
  await reads(page, "Website");
  await watch.check(page, "endpoints");
  await page.goto(`${own}/endpoints?search=elsewhere`);
  await reads(page, "No endpoint");
  await watch.expecting([422], async () => {
    await page.goto(`${own}/endpoints/new`);
    await fill(page, "input[name=url]", "https://example.com/");
    await click(page, "::-p-text(All settings)");
    await fill(page, "input[name=timeout]", "for ever");
    await follow(page, button("Create"));
  });
  await page.waitForSelector("[role=alert]");
  assert.equal(await page.$eval("input[name=url]", (input) => input.value), "https://example.com/");
}

async function events(page) {
  await page.goto(`${own}/events?type=content.published`);
  await reads(page, "content.published");
  await watch.check(page, "events");
  await page.goto(`${own}/events?type=nothing.such`);
  await reads(page, "No event");
  const before = target.kept.length;
  await page.goto(state.event);
  await follow(page, button("Send again to all"));
  await reads(page, "The event is on its way again.");
  for (let tries = 0; tries < 200 && target.kept.length === before; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(target.kept.length, before + 1);
  await page.goto(`${own}/events`);
  await fill(page, "input[name=id]", state.event.split("/").at(-1));
  await follow(page, button("Search"));
  assert.equal(page.url(), state.event);
}

/** A tenant's token sees the tenant's console alone. */
async function tenant(page) {
  await page.goto(`${own}/tokens`);
  await fill(page, "input[name=name]", "portal");
  await follow(page, button("Make a token"));
  const made = await text(page, "#token");
  await watch.check(page, "tokens");
  const other = await watch.page(browser);
  await signIn(other, url, made);
  assert.ok(!(await text(other, "nav")).includes("System"));
  await watch.check(other, "tenant's overview");
  await other.goto(`${own}/endpoints`);
  await reads(other, "Website");
  for (const path of ["/tenants/globex/endpoints", "/tenants", "/system", "/dead-letters?tenant=globex"]) {
    const answer = await watch.expecting([403], () => other.goto(url + path));
    assert.equal(answer.status(), 403, path);
    await reads(other, "Not allowed");
  }
  await watch.check(other, "not allowed");
  page.once("dialog", (dialog) => dialog.accept());
  await follow(page, button("Revoke portal"));
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await other.goto(`${own}/endpoints`);
  assert.match(other.url(), /\/sign-in/, "a revoked token's session is over");
  await other.browserContext().close();
}

/** Whoever comes by a link sees the tenant's console, without its tokens. */
async function visitor(maker) {
  await maker.goto(`${own}/links`);
  await watch.check(maker, "console links");
  await fill(maker, "input[name=ttl]", "for ever");
  await watch.expecting([422], () => follow(maker, button("Make a link")));
  await maker.waitForSelector("[role=alert]");
  await fill(maker, "input[name=ttl]", "10m");
  await fill(maker, "select[name=access]", "full");
  await follow(maker, button("Make a link"));
  const made = await text(maker, "#link");
  assert.ok(made.startsWith(`${url}/visit?code=`), made);
  await watch.check(maker, "console links, made");
  const page = await watch.page(browser);
  await page.goto(made);
  assert.equal(page.url(), `${url}/`, "the code does not stay in the address");
  assert.doesNotMatch(await text(page, "nav"), /Tokens|Console links/);
  await watch.check(page, "visitor's overview");
  await page.goto(`${own}/endpoints`);
  await reads(page, "Website");
  for (const path of ["/tenants/acme/tokens", "/tenants/globex/endpoints", "/system", "/visit?code=x"]) {
    const answer = await watch.expecting([403], () => page.goto(url + path));
    assert.equal(answer.status(), 403, path);
  }
  await page.browserContext().close();
}

/** Forms and links are enough. */
async function withoutScripts(page) {
  const plain = await watch.page(browser);
  await plain.setJavaScriptEnabled(false);
  // Without scripts nothing on a page can be waited for but the next page.
  const submit = async (values, button) => {
    const next = plain.waitForNavigation();
    await plain.evaluate((values, button) => {
      for (const [name, value] of Object.entries(values)) document.querySelector(`[name=${name}]`).value = value;
      document.querySelector(button).click();
    }, values, button);
    await next;
  };
  await plain.goto(`${url}/sign-in`);
  await submit({ token }, "main button");
  await plain.goto(`${own}/endpoints/new`);
  await submit({ url: `${target.url}/plain` }, "main button.primary");
  assert.ok((await text(plain, "#secret")).length >= 32);
  await submit({}, "main a.primary");
  await submit({}, "main .danger-quiet");
  await page.goto(plain.url());
  await watch.check(page, "delete endpoint");
  await plain.bringToFront();
  await submit({}, "main button.danger");
  assert.match(plain.url(), /done=deleted/);
  await plain.browserContext().close();
}

async function operator(page) {
  await page.goto(`${url}/system`);
  await watch.check(page, "system");
  await watch.expecting([404], () => page.goto(`${url}/nowhere`));
  await watch.check(page, "nowhere");
  await page.goto(url);
  await click(page, "[data-theme-toggle]");
  assert.match(await page.$eval("html", (html) => html.dataset.theme), /light|dark/);
  await page.goto(url);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await follow(page, button("Sign out"));
  await page.goto(`${own}/endpoints`);
  assert.match(page.url(), /\/sign-in/);
}
