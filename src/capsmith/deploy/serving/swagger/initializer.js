// Swagger UI fills every field of a form with a sample, and would send all of them; ours begin empty.
function withEmptyForms(document) {
  const schemas = document.components.schemas;
  for (const schema of Object.values(schemas)) {
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (schema.title?.endsWith("Form") && !schema.required?.includes(name)) {
        const target = field.$ref ? { ...schemas[field.$ref.split("/").pop()], ...field } : field;
        delete target.$ref;
        schema.properties[name] = { ...target, example: target.type === "array" ? [] : "" };
      }
    }
  }
  return document;
}

// It sends them though they are empty.
function withoutEmptyFields(request) {
  if (request.body instanceof FormData) {
    const filled = [...request.body].filter(([, value]) => value !== "");
    request.body = new FormData();
    for (const [name, value] of filled) {
      request.body.append(name, value);
    }
  }
  return request;
}

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then((document) =>
    SwaggerUIBundle({
      spec: withEmptyForms(document),
      dom_id: "#swagger-ui",
      requestInterceptor: withoutEmptyFields,
      deepLinking: true,
      defaultModelsExpandDepth: 0,
      tryItOutEnabled: true,
      validatorUrl: null,
    }),
  );
