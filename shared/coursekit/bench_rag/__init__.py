"""`course bench rag`: the assembled assistant's ingestion and retrieval beside LangChain and LlamaIndex.

    builtin, beir   what is searched: documents, questions, judgments        records.Workload
    preparing       chunks by the assistant's own chunker, vectors of both   a folder that every system reads
    environment     the peers' own Python environment, made on first use
    running         each system in a process and a database of its own       `systems/` holds what runs there
    scoring         nDCG@10, recall@5, paired intervals, percentiles
    table, page, picture    what a person sees

The package's own processes never import the peers, and the peers' never import `coursekit`.
"""
