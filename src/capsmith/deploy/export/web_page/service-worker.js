// Answers all requests of the page from a cache, so that it works offline. `capsmith export` fills in the version and
// the files; with another version, browsers fetch all files anew.
//
// The headers let onnxruntime-web use several threads, on any static server, from the second visit on; and they apply
// the page's Content-Security-Policy to workers too.

const VERSION = "@VERSION@";
const FILES = "@FILES@";
const POLICY = "@POLICY@";
const HEADERS = {
  "Content-Security-Policy": POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const PREFIX = `capsmith ${registration.scope} `; // caches belong to the origin, which may hold several exports
const CACHE = PREFIX + VERSION;
const pageUrl = new URL("./", registration.scope).href;

addEventListener("install", (event) => {
  event.waitUntil(store());
  skipWaiting();
});

addEventListener("activate", (event) => {
  event.waitUntil(removeOthers().then(() => clients.claim()));
});

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && url.href.startsWith(pageUrl)) event.respondWith(answer(event.request));
});

async function store() {
  const cache = await caches.open(CACHE);
  await cache.addAll(["./", ...FILES].map((file) => new Request(file, { cache: "no-cache" })));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const response = (await cache.match(request, { ignoreSearch: true })) ?? (await fetch(request));
  if (response.status !== 200) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: 200, headers });
}

async function removeOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
}
