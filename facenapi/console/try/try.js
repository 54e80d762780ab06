// The interactive page: Swagger UI over the OpenAPI document, with the token of this tab.

const field = /** @type {HTMLInputElement} */ (document.getElementById("key"));
field.value = sessionStorage.getItem("token") ?? "";
field.addEventListener("input", () => {
  const key = field.value.trim();
  if (key) sessionStorage.setItem("token", key);
  else sessionStorage.removeItem("token");
});
document.getElementById("token")?.addEventListener("submit", (event) => event.preventDefault());

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
