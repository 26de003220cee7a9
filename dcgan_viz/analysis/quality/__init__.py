"""How good and how varied samples are."""
