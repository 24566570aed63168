"""One file per route: read the JSON body, ask the engine, shape the reply. No HTTP here, that is `simllm.wire`."""
