"""The description of the interface, /openapi.json, held against the server that gives it.

A public validator must accept it, for keys that may do everything, one thing and nothing, and a public fuzzer that is
driven by it must find no 500 and no answer that it does not describe. What it describes must be taken, too: of each
intent some requests must be carried out, and of all of them a good share. The fuzzer makes so many requests for each path
and method, and JQL has all of its requests on one path; so it gets a description in which each has a path of its own,
told apart by what stands behind a `?`, which the server does not look at.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter

from openapi_spec_validator import validate

FIELDS = {
    "title": {"type": "string", "max_length": 40, "min_length": 1, "unique": True, "help": "What it is called."},
    "text": {"type": "text", "null": True},
    "number": {"type": "integer", "default": 0, "min": -5, "max": 5},
    "ratio": {"type": "float", "null": True},
    "cost": {"type": "decimal", "max_digits": 10, "decimal_places": 2, "null": True},
    "open": {"type": "boolean", "default": True},
    "status": {"type": "string", "choices": ["open", "closed"], "default": "open", "index": True},
    "day": {"type": "date", "null": True},
    "at": {"type": "datetime", "null": True},
    "hour": {"type": "time", "null": True},
    "tag": {"type": "uuid", "null": True},
    "more": {"type": "json", "null": True},
    "code": {"type": "string", "max_length": 9, "null": True, "pattern": "^[a-z]+(?:-[0-9])?$"},
    "part": {"type": "ref", "to": "a.Part", "null": True, "on_delete": "set_null", "related_name": "things"},
    "parts": {"type": "refs", "to": "a.Part", "related_name": "users"},
    "made": {"type": "datetime", "auto_now_add": True},
}
MODELS = {
    "a.Thing": {"versioned": True, "fields": FIELDS, "unique_together": [["number", "status"]], "ordering": ["-made"]},
    "a.Part": {"id": {"type": "uuid"}, "fields": {"name": {"type": "string", "max_length": 20}}},
}
EVERYTHING = "*.*:*,system.*:*"
# Records and keys that there are.
PARTS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(6)]
NUMBERS = [2, 3, 4, 5, 6]
KEYS = list(range(2, 100))
# What the fuzzer is given in place of what JSON Schema cannot say, which it would hardly ever meet.
PROPERTIES = {
    "__field__": ["id"],
    "onField": ["id"],
    "field": ["id"],
    "referenceField": ["id"],
    "draw": [7, "seven"],
    "limit": [0, 1, 1000],
    "offset": [0, 2],
    "maxAffected": [0, 1, 1000],
    "overlap": ["1h"],
    # Fewer models than these would leave the fuzzer without most of its requests.
    "models": [MODELS, MODELS | {"a.More": MODELS["a.Part"]}],
    "allowDataLoss": [False],
}
SCHEMAS = {
    "Names": {"enum": ["id", ["-id"]]},
    "Count": {"enum": [True, False, {"upTo": 3}]},
    "a.Thing.field.part": {"enum": [None, *PARTS]},
    "a.Thing.field.parts": {"type": "array", "items": {"enum": PARTS}, "maxItems": 3},
    "system.ApiKey.field.permissions": {"enum": [[], ["a.Thing:read"]]},
    "system.ApiKey.field.allowed_ips": {"enum": [None, ["10.0.0.0/8"]]},
}
ASKED = {"$ref": "#/components/schemas/Asked"}
# So many requests of each kind, with one seed, so that it is the same on a slow machine: some 40 seconds in all.
REQUESTS = 12
# When a fuzzer that hangs is stopped.
SECONDS = 600
# The share of its requests of JQL that must be carried out. Some 40 % are: of each two, one is wrong on purpose.
LEAST_SHARE = 0.25
# That an answer is no 500, and one that is described: its status, its type, its body, its headers.
ANSWERS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)


def main(binary, schemathesis):
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"JQLITE_DB": f"{folder}/test.db"}

        def jqlite(*words):
            command = [binary, *words]
            return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

        with open(f"{folder}/models.json", "w") as file:
            json.dump(MODELS, file)
        jqlite("models", "apply", f"{folder}/models.json")
        first = jqlite("bootstrap")
        with open(f"{folder}/stderr", "w") as stderr:
            command = [binary, "serve", "--listen", "127.0.0.1:0", "--json"]
            server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
        try:
            url = json.loads(server.stdout.readline())["url"]
            # Keys for the fuzzer to change and end, so that it does not soon meet its own.
            spare = {"__meta__": {"intent": "create", "namespace": "system.ApiKey"}, "name": "spare", "permissions": []}
            batch = {"__meta__": {"intent": "execute", "namespace": "system.Batch", "schema": "controller"}}
            get(url, "/jql", first, batch | {"requests": [spare] * 100})
            parts = [{"id": part, "name": "part"} for part in PARTS]
            things = [{"title": f"thing {number}", "number": number % 5, "status": "open"} for number in NUMBERS]
            for model, records in [("a.Part", parts), ("a.Thing", things)]:
                get(url, "/jql", first, {"__meta__": {"intent": "createMany", "namespace": model, "objects": records}})

            for permissions in [EVERYTHING, "a.Thing:read", "a.Thing:create", "a.Part:update,a.Part:delete", ""]:
                key = jqlite("keys", "create", "--name", permissions or "none", "--allow", permissions)
                narrow = json.loads(get(url, "/openapi.json", key))
                validate(narrow)

            prepared = answers(get(url, "/metrics", first))
            key = jqlite("keys", "create", "--name", "fuzzer", "--allow", EVERYTHING)
            whole = json.loads(get(url, "/openapi.json", key))
            # All paths, methods and headers, on the smallest description that there is; then all requests of JQL.
            fuzz = ["--checks", ANSWERS, "--phases", "fuzzing", "--max-examples", str(REQUESTS)]
            runs = [
                ("paths", narrow, ["--exclude-checks", "positive_data_acceptance", "--phases", "coverage"]),
                ("parts", in_parts(whole), fuzz),
            ]
            for name, document, words in runs:
                path = f"{folder}/{name}.json"
                with open(path, "w") as file:
                    json.dump(document, file)
                command = [schemathesis, "run", path, "--url", url, "--header", f"Authorization: Bearer {key}"]
                command += ["--seed", "4", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off"]
                # A busy machine is no fault of the server; one that hangs is stopped all the same.
                command += ["--request-timeout", "60", "--no-color", *words]
                subprocess.run(command, cwd=folder, check=True, timeout=SECONDS)

            metrics = get(url, "/metrics", key)
            every = answers(metrics)
            answered = Counter()
            for (_, status), count in every.items():
                answered[status] += count
            print(f"{answered.total()} requests:", *(f"{count} × {status}" for status, count in sorted(answered.items())))
            carried_out(whole, every - prepared)
            with open(f"{folder}/stderr") as stderr:
                panics = [line for line in stderr if "panicked" in line]
            if server.poll() is not None or answered["500"] or panics:
                sys.exit(f"the server met faults: {answered['500']} answers with 500, {panics}")
        finally:
            server.terminate()
            server.wait()


def get(url, path, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data=data, headers=headers)) as answer:
        return answer.read().decode()


def answers(metrics):
    """How many requests of each intent were answered with each status."""
    lines = re.findall(r'^jqlite_requests_total{intent="(\w+)",status="(\d+)"} (\d+)$', metrics, re.MULTILINE)
    return Counter({(intent, status): int(count) for intent, status, count in lines})


def carried_out(document, answered):
    """Ends the run where the fuzzer's requests were refused so often that it tells nothing."""
    requests = document["components"]["schemas"]["Request"]["anyOf"]
    intents = {reference["$ref"].rsplit(".", 1)[1] for reference in requests}
    good = {intent: answered[intent, "200"] for intent in sorted(intents)}
    all_of_them = sum(count for (intent, _), count in answered.items() if intent in intents)
    told = (f"{count} × {intent}" for intent, count in good.items())
    print(f"{sum(good.values())} of {all_of_them} requests of the fuzzer were carried out:", *told)
    never = [intent for intent, count in good.items() if count == 0]
    if never:
        sys.exit(f"no request was carried out of the intents {never}")
    if sum(good.values()) < LEAST_SHARE * all_of_them:
        sys.exit("that is too small a share")


def in_parts(document):
    """The description with a path for each request of JQL, whose texts are such that many of them are carried out."""
    answered = document["components"]["schemas"]["Extras"]  # which tells of these as well
    document = narrowed(document)
    post, schemas = document["paths"]["/jql"]["post"], document["components"]["schemas"]
    schemas.update(SCHEMAS | {"Extras": answered})
    known = [("a.Part", PARTS), ("a.Thing", NUMBERS), ("system.ApiKey", KEYS), ("system.UsageLog", NUMBERS)]
    for model, ids in [*known, ("system.Model", [1, 2])]:
        by_id = schemas[f"{model}.unique"]["anyOf"][0]
        by_id["properties"]["id"] = {"enum": ids}
        schemas[f"{model}.unique"] = by_id
    for name, schema in schemas.items():
        if name.endswith((".one", ".list")) and "properties" in schema:
            # Records in records in records are more than the fuzzer finds a way through.
            fields = schema["properties"]
            fields.update({field: ASKED for field, takes in fields.items() if "anyOf" in takes})
            schema["additionalProperties"] = False
    document["paths"] = {}
    for reference in schemas["Request"]["anyOf"]:
        name = reference["$ref"].rsplit("/", 1)[1]
        operation = copy.deepcopy(post) | {"operationId": name, "parameters": []}
        operation["requestBody"]["content"]["application/json"]["schema"] = reference
        document["paths"][f"/jql?{name}"] = {"post": operation}
    return document


def narrowed(schema):
    """The same without freely chosen names of fields, and with numbers that are often right."""
    if isinstance(schema, list):
        return [narrowed(one) for one in schema if one != {"$ref": "#/components/schemas/Field"}]
    if not isinstance(schema, dict):
        return schema
    schema = {key: narrowed(one) for key, one in schema.items()}
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] = schema["pattern"].replace("__[A-Za-z0-9_]+", "__id")
    if "patternProperties" in schema:
        paths = schema["patternProperties"].items()
        # What leads on to another model, or into json, leads to what there is.
        schema["patternProperties"] = {path if one else f"{path}id$": one or {"type": "null"} for path, one in paths}
    properties = schema.get("properties", {})
    properties.pop("after", None)
    for key in properties.keys() & PROPERTIES.keys():
        properties[key] = {"enum": PROPERTIES[key]}
    for key in properties.keys() & {"filter", "exclude", "having"}:
        if properties[key] == {"type": "object"}:
            properties[key] = {"const": {}}
    return schema


main(*sys.argv[1:])
