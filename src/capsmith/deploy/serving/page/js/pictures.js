// Pictures of an index. Where the server asks for a key, an <img> could not send it, so they are fetched.

import { address, key } from "./api.js";

const urls = new Map(); // of fetched pictures

/** Shows a picture of the service in an image, when it comes into view. */
export function showPicture(image, path) {
  image.dataset.path = path;
  if (!key.get()) {
    image.src = address(path.replace(/^\//, ""));
    return;
  }
  observer.observe(image);
}

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    observer.unobserve(target);
    fetched(target.dataset.path).then((url) => url && (target.src = url));
  }
}, { rootMargin: "300px" });

async function fetched(path) {
  if (!urls.has(path)) {
    const answer = await fetch(address(path.replace(/^\//, "")), { headers: { Authorization: `Bearer ${key.get()}` } });
    if (!answer.ok) return null;
    urls.set(path, URL.createObjectURL(await answer.blob()));
  }
  return urls.get(path);
}
