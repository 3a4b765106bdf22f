"""Reading and writing of other tools' adapters. Reading needs no torch."""
