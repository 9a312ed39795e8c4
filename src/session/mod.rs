//! Sessions on disk in the original's format: keys, the index (`sessions.json`), transcripts.
