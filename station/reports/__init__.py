"""Reports: what each stored fact counts for, the sums, and the sums as JSON, as a document and as a spreadsheet."""
