// Keeps the page for visits without a connection.

/** Registers the service worker, after the captioner has loaded: what it stores comes from the browser's cache then. */
export async function whenReady() {
  if (!("serviceWorker" in navigator)) return; // not a secure context, such as http:// on another machine
  try {
    await navigator.serviceWorker.register(new URL("../service-worker.js", import.meta.url));
    await navigator.serviceWorker.ready;
    document.body.dataset.offline = "";
    document.getElementById("offline").hidden = false;
  } catch (error) {
    console.warn(`The page will not work offline: ${error.message}`);
  }
}
