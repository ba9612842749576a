// Tries the page's code: a receipt a line in JSON on standard input, an answer a line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"

	"receipts"
)

func main() {
	used := map[string]bool{}
	firstUse := func(jti string) (bool, error) {
		first := !used[jti]
		used[jti] = true
		return first, nil
	}
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked struct {
			Receipt, Nonce, Number, HashKey string
		}
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		claims, err := receipts.Check(asked.Receipt, asked.Nonce, firstUse)
		if err != nil {
			answers.Encode(map[string]any{"refused": err.Error(), "unavailable": errors.Is(err, receipts.ErrKeys)})
			continue
		}
		answers.Encode(map[string]any{"claims": claims, "isOf": receipts.IsOf(claims, asked.Number, asked.HashKey)})
	}
}
