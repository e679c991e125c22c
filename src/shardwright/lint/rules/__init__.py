"""The rules, in files by concern; `shardwright.lint.table` lists them all."""
