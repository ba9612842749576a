// Driver puts the Go recipe at the tests' disposal: a command a line in JSON on standard input, an answer a line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"numberverification"
)

type command struct {
	Do        string
	JWKS      string
	Audiences []string
	Keys      []string
	Full      bool
	Verifier  int
	Receipt   string
	Receipts  []string
	Nonce     json.RawMessage
	At        float64
	Hash      string
	Number    string
	Key       string
}

type answer map[string]any

var (
	now       time.Time
	verifiers []*numberverification.Verifier
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var said command
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			panic(err)
		}
		if said.At != 0 {
			now = time.UnixMilli(int64(said.At*1000 + 0.5))
		}
		if err := out.Encode(run(said)); err != nil {
			panic(err)
		}
	}
}

func run(said command) answer {
	switch said.Do {
	case "new":
		return create(said)
	case "verify":
		return verify(said, said.Receipt)
	case "race":
		return race(said)
	case "hash":
		return answer{"hash": numberverification.HashOfNumber(said.Number, said.Key)}
	case "is":
		return answer{"is": numberverification.IsNumber(said.Hash, said.Number, said.Key)}
	}
	panic(said.Do)
}

func create(said command) answer {
	verifier, err := numberverification.New(said.JWKS, said.Audiences...)
	if err != nil {
		return answer{"unusable": err.Error()}
	}
	for _, key := range said.Keys {
		if err := verifier.DecryptWith(key); err != nil {
			return answer{"unusable": err.Error()}
		}
	}
	verifier.Now = func() time.Time { return now }
	if said.Full {
		verifier.Used = fullStore{}
	}
	verifiers = append(verifiers, verifier)
	return answer{"verifier": len(verifiers) - 1}
}

var errStore = errors.New("the store has failed")

// fullStore has seen everything; asked about what it does not know, it fails.
type fullStore struct{}

func (fullStore) PutIfAbsent(jti string, until time.Time) (bool, error) {
	if strings.HasPrefix(jti, "seen-until-") {
		return jti != fmt.Sprint("seen-until-", until.Unix()), nil
	}
	return true, errStore
}

func race(said command) answer {
	answers := make([]answer, len(said.Receipts))
	var all sync.WaitGroup
	for i := range said.Receipts {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			answers[i] = verify(said, said.Receipts[i])
		}(i)
	}
	all.Wait()
	return answer{"answers": answers}
}

func verify(said command, receipt string) answer {
	verifier := verifiers[said.Verifier]
	var claims numberverification.Claims
	var err error
	if said.Nonce == nil {
		claims, err = verifier.VerifyWithoutNonce(receipt)
	} else {
		var nonce string
		if json.Unmarshal(said.Nonce, &nonce) != nil {
			panic("nonce")
		}
		claims, err = verifier.Verify(receipt, nonce)
	}
	var reason numberverification.Reason
	if errors.As(err, &reason) {
		return answer{"reason": string(reason), "text": err.Error(), "shown": fmt.Sprintf("%v", err)}
	}
	if errors.Is(err, errStore) {
		return answer{"failed": true}
	}
	if err != nil {
		panic(err)
	}
	return answer{"claims": wire(claims), "shown": fmt.Sprintf("%v %+v", claims, claims)}
}

func wire(claims numberverification.Claims) answer {
	said := answer{"iat": claims.IssuedAt.Unix(), "exp": claims.ExpiresAt.Unix()}
	for name, text := range map[string]string{
		"jti":            claims.JTI,
		"appId":          claims.AppID,
		"taskId":         claims.TaskID,
		"aud":            claims.Audience,
		"phoneNum":       claims.PhoneNum,
		"phoneNumMasked": claims.PhoneNumMasked,
		"phoneNumHash":   claims.PhoneNumHash,
	} {
		if text != "" {
			said[name] = text
		}
	}
	return said
}
