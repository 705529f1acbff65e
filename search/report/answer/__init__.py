"""The answer as a person reads it: two sentences, tables, pictures, and a page of its own."""
