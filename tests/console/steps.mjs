// What the tests do on pages, by what people see: labels, buttons, links.

// Behind another one a page is not painted, and nothing on it comes to rest: each is brought to the
// front before anything is done on it.

export async function click(page, selector) {
  await page.bringToFront();
  await page.locator(selector).click();
}

export async function fill(page, selector, value) {
  await page.bringToFront();
  await page.locator(selector).fill(value);
}

/** Clicks, and waits for the next page. */
export async function follow(page, selector) {
  const next = page.waitForNavigation();
  await click(page, selector);
  return next;
}

export const link = (name) => `::-p-aria([role="link"][name="${name}"])`;
export const button = (name) => `::-p-aria([role="button"][name="${name}"])`;
export const field = (name) => `::-p-aria([name="${name}"])`;

export async function signIn(page, url, token) {
  await page.goto(`${url}/sign-in`);
  await fill(page, "input[name=token]", token);
  return follow(page, button("Sign in"));
}

export const text = (page, selector = "main") => page.$eval(selector, (element) => element.innerText);

/** Waits until a text is to be read. */
export async function reads(page, expected, selector = "main") {
  try {
    await page.waitForFunction(
      (selector, expected) => document.querySelector(selector)?.innerText.includes(expected),
      { timeout: 90_000 }, selector, expected,
    );
  } catch {
    throw new Error(`${page.url()}: not to be read: ${expected}\n${await text(page)}`);
  }
}
