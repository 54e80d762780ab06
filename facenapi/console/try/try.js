// The interactive page: Swagger UI over the OpenAPI document, with the token of this tab.

const field = /** @type {HTMLInputElement} */ (document.getElementById("key"));
field.value = sessionStorage.getItem("token") ?? "";
field.addEventListener("input", () => {
  const key = field.value.trim();
  if (key) sessionStorage.setItem("token", key);
  else sessionStorage.removeItem("token");
});
document.getElementById("token")?.addEventListener("submit", (event) => event.preventDefault());

// Light or dark as in the console: what was chosen there, or what the system says.
const system = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const chosen = localStorage.getItem("theme");
  document.documentElement.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && system.matches));
}
system.addEventListener("change", paint);
paint();

/** @type {any} */
const makeSwagger = /** @type {any} */ (window).SwaggerUIBundle;
if (makeSwagger && document.getElementById("swagger-ui")) {
  makeSwagger({
    url: document.body.dataset.document,
    dom_id: "#swagger-ui",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    validatorUrl: null,
    /** @param {{headers: {[name: string]: string}}} request */
    requestInterceptor: (request) => {
      if (field.value.trim()) request.headers.Authorization = `Token ${field.value.trim()}`;
      return request;
    },
  });
}
