"""The papers, a module each; `common` holds what several of them share."""
