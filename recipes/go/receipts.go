// Package numberverification checks number verification receipts in your back end. Copy this file; it needs Go 1.19,
// whose own packages have the cryptography, and nothing else.
//
// A page can lie; a receipt cannot. It is a JWT that the number verification API signs when a carrier has confirmed
// that a number belongs to the phone in the user's hand. Make one verifier when your service starts:
//
//	receipts, err := numberverification.New("https://api.example.com/.well-known/jwks.json", "https://www.abc.com")
//
// and log nobody in where this gives an error, with the nonce that your back end gave this very session:
//
//	claims, err := receipts.Verify(receipt, nonce)
//
// Goroutines may share a verifier.
package numberverification

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxReceiptLength = 8192
	maxLifeSeconds   = 600
	leeway           = 5 * time.Second
	fetchTimeout     = 3 * time.Second
	maxJWKSBytes     = 65536
	cacheFor         = 5 * time.Minute
	refetchAfter     = 10 * time.Second
	staleAfter       = time.Hour
)

var (
	// The keys come from this one address, over TLS; without it only where nobody can listen, on this machine.
	address = regexp.MustCompile(
		`^(https://[^/?#@\s][^?#@\s]*|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?)/\.well-known/jwks\.json$`)
	compact = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)
	// 32 bytes (RFC 7518, section 6.2.1.2).
	coordinate = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	jtiText    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	hash       = regexp.MustCompile(`^[0-9a-f]{64}$`)
	masked     = regexp.MustCompile(`^[0-9]{3}\*{4}[0-9]{4}$`)
	number     = regexp.MustCompile(`^[0-9]{11}$`)
	// In its one canonical spelling, so that no receipt has two.
	base64URL = base64.RawURLEncoding.Strict()
)

var errNoPrivateKey = errors.New("a decryption key is not the PEM of an RSA private key (PKCS#8)")

// Reason says why a receipt is refused, and no more, so it may be logged; the README says what to do about each. Use
// errors.As, or compare with ==.
type Reason string

// The reasons.
const (
	Malformed            Reason = "malformed"
	WrongAlgorithm       Reason = "wrong_algorithm"
	WrongType            Reason = "wrong_type"
	UnknownKey           Reason = "unknown_key"
	KeysUnavailable      Reason = "keys_unavailable"
	BadSignature         Reason = "bad_signature"
	WrongIssuer          Reason = "wrong_issuer"
	WrongAudience        Reason = "wrong_audience"
	NotYetValid          Reason = "not_yet_valid"
	Expired              Reason = "expired"
	WrongNonce           Reason = "wrong_nonce"
	NumberUndecipherable Reason = "number_undecipherable"
	Replayed             Reason = "replayed"
)

func (r Reason) Error() string { return string(r) }

// Claims is what a receipt says. Of the three forms of the number it has the one that the API is set to.
type Claims struct {
	JTI, AppID, TaskID, Audience string
	IssuedAt, ExpiresAt          time.Time
	PhoneNum                     string // decrypted
	PhoneNumMasked               string
	PhoneNumHash                 string
}

// String leaves the number out, so that it gets into no log.
func (c Claims) String() string { return "receipt " + c.JTI }

// UsedReceipts remembers which receipts have been used.
//
// PutIfAbsent remembers one until a moment, in one atomic step; false where it is there already. An error refuses the
// receipt, too. With more than one process, keep it where all of them look. In Redis, with go-redis:
//
//	life := time.Until(until) + time.Second // rounded up: never forgotten too soon
//	return redis.SetNX(ctx, "receipt:"+jti, 1, life).Result()
type UsedReceipts interface {
	PutIfAbsent(jti string, until time.Time) (bool, error)
}

// Verifier accepts a receipt once. Set the fields before its first use.
type Verifier struct {
	Used UsedReceipts     // by default it remembers for one process
	Now  func() time.Time // by default time.Now

	issuer         string
	audiences      map[string]bool
	decryptionKeys map[string]*rsa.PrivateKey
	keys           publishedKeys
}

// New makes a verifier.
//
// jwksURL is where the API publishes its public keys; what comes before /.well-known is the issuer. The audiences are
// the origins of your own pages, such as https://www.abc.com.
func New(jwksURL string, audiences ...string) (*Verifier, error) {
	parts := address.FindStringSubmatch(jwksURL)
	if parts == nil {
		return nil, errors.New("jwksURL is not https://HOST/.well-known/jwks.json (http: on loopback alone)")
	}
	if len(audiences) == 0 {
		return nil, errors.New("name the origin of your page: without it, receipts for other pages would do")
	}
	verifier := &Verifier{
		Now:            time.Now,
		issuer:         parts[1],
		audiences:      map[string]bool{},
		decryptionKeys: map[string]*rsa.PrivateKey{},
		keys:           publishedKeys{url: jwksURL},
	}
	verifier.Used = &usedInThisProcess{now: func() time.Time { return verifier.Now() }, until: map[string]time.Time{}}
	for _, audience := range audiences {
		verifier.audiences[audience] = true
	}
	return verifier, nil
}

// DecryptWith adds one of your RSA private keys (PEM of PKCS#8), where the API is set to encrypt the number: the one in
// use and, while you change it, the one before.
func (v *Verifier) DecryptWith(privateKey string) error {
	block, _ := pem.Decode([]byte(privateKey))
	if block == nil {
		return errNoPrivateKey
	}
	parsed, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return errNoPrivateKey
	}
	exponent := base64URL.EncodeToString(big.NewInt(int64(key.E)).Bytes())
	jwk := fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, exponent, base64URL.EncodeToString(key.N.Bytes()))
	thumbprint := sha256.Sum256([]byte(jwk)) // RFC 7638
	v.decryptionKeys[base64URL.EncodeToString(thumbprint[:])] = key
	return nil
}

// Verify checks a receipt as the page sent it, and uses it up.
//
// The nonce is what your back end gave this session, out of its own store: never what the page sends along. Where the
// error is not nil, log nobody in: it is a Reason, or what Used gave.
func (v *Verifier) Verify(receipt, nonce string) (Claims, error) {
	claims, err := v.check(receipt)
	if err != nil {
		return Claims{}, err
	}
	if nonce == "" || !hmac.Equal([]byte(claims.text("nonce")), []byte(nonce)) {
		return Claims{}, WrongNonce
	}
	return v.use(claims)
}

// VerifyWithoutNonce checks a receipt that was asked for without a nonce, and uses it up.
//
// Weaker: whoever gets hold of somebody's receipt within its two minutes can be first to log in with it.
func (v *Verifier) VerifyWithoutNonce(receipt string) (Claims, error) {
	claims, err := v.check(receipt)
	if err != nil {
		return Claims{}, err
	}
	if claims.has("nonce") {
		return Claims{}, WrongNonce
	}
	return v.use(claims)
}

// HashOfNumber gives what PhoneNumHash is for a number of 11 digits, with the receipt secret's hashKey.
func HashOfNumber(phoneNum, hashKey string) string {
	mac := hmac.New(sha256.New, []byte(hashKey))
	mac.Write([]byte(phoneNum))
	return hex.EncodeToString(mac.Sum(nil))
}

// IsNumber tells whether a hash is of this number, in a time that does not depend on how much of it is right.
func IsNumber(phoneNumHash, phoneNum, hashKey string) bool {
	return hmac.Equal([]byte(phoneNumHash), []byte(HashOfNumber(phoneNum, hashKey)))
}

// check does everything but the nonce and that it is the first use.
func (v *Verifier) check(receipt string) (object, error) {
	claims, err := v.signedClaims(receipt)
	if err != nil {
		return nil, err
	}
	if claims.text("iss") != v.issuer {
		return nil, WrongIssuer
	}
	if !v.audiences[claims.text("aud")] { // one origin: a list is refused, even a list of one
		return nil, WrongAudience
	}
	if !claims.wellFormed() {
		return nil, Malformed
	}
	now := v.Now()
	if now.Before(claims.time("iat").Add(-leeway)) {
		return nil, NotYetValid
	}
	if !now.Before(claims.time("exp").Add(leeway)) {
		return nil, Expired
	}
	return claims, nil
}

// signedClaims checks header and signature; only then it reads what is signed.
func (v *Verifier) signedClaims(receipt string) (object, error) {
	if len(receipt) > maxReceiptLength || !compact.MatchString(receipt) {
		return nil, Malformed
	}
	parts := strings.Split(receipt, ".")
	var header, payload object
	headerText, err := base64URL.DecodeString(parts[0])
	if err != nil || !header.read(headerText) {
		return nil, Malformed
	}
	payloadText, err := base64URL.DecodeString(parts[1])
	if err != nil {
		return nil, Malformed
	}
	signature, err := base64URL.DecodeString(parts[2])
	if err != nil {
		return nil, Malformed
	}
	// What the header says chooses among our own keys, and nothing else: the algorithm is settled.
	if header.text("alg") != "ES256" {
		return nil, WrongAlgorithm
	}
	if header.text("typ") != "number-verification+jwt" {
		return nil, WrongType
	}
	// No crit, no b64, and no key or address of the sender's own.
	if len(header) != 3 || !header.isText("kid") {
		return nil, Malformed
	}
	key, err := v.keys.get(header.text("kid"), v.Now)
	if err != nil {
		return nil, err
	}
	if !isSigned(parts[0]+"."+parts[1], signature, key) {
		return nil, BadSignature
	}
	if !payload.read(payloadText) {
		return nil, Malformed
	}
	return payload, nil
}

// isSigned checks ES256 (RFC 7518, section 3.4): ECDSA over SHA-256, r and s of 32 bytes each.
func isSigned(text string, signature []byte, key *ecdsa.PublicKey) bool {
	if len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(text))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, digest[:], r, s)
}

// use reads the number, and has the receipt count as used from here on.
func (v *Verifier) use(claims object) (Claims, error) {
	phoneNum := ""
	if claims.has("phoneNumJwe") {
		phoneNum = v.decrypt(claims.text("phoneNumJwe"))
		if !number.MatchString(phoneNum) {
			return Claims{}, NumberUndecipherable
		}
	}
	first, err := v.Used.PutIfAbsent(claims.text("jti"), claims.time("exp").Add(leeway))
	if err != nil {
		return Claims{}, err
	}
	if !first {
		return Claims{}, Replayed
	}
	return Claims{
		JTI:            claims.text("jti"),
		AppID:          claims.text("appId"),
		TaskID:         claims.text("taskId"),
		Audience:       claims.text("aud"),
		IssuedAt:       claims.time("iat"),
		ExpiresAt:      claims.time("exp"),
		PhoneNum:       phoneNum,
		PhoneNumMasked: claims.text("phoneNumMasked"),
		PhoneNumHash:   claims.text("phoneNumHash"),
	}, nil
}

// decrypt opens a compact JWE (RFC 7516) of the one kind that the API makes, RSA-OAEP-256 with A256GCM: Go has both.
// It gives "" where it cannot.
func (v *Verifier) decrypt(encrypted string) string {
	parts := strings.Split(encrypted, ".")
	if len(parts) != 5 {
		return ""
	}
	var decoded [5][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64URL.DecodeString(part); err != nil {
			return ""
		}
	}
	var header object
	if !header.read(decoded[0]) || len(header) != 3 ||
		header.text("alg") != "RSA-OAEP-256" || header.text("enc") != "A256GCM" {
		return ""
	}
	key := v.decryptionKeys[header.text("kid")]
	if key == nil {
		return ""
	}
	contentKey, err := rsa.DecryptOAEP(sha256.New(), nil, key, decoded[1], nil)
	if err != nil || len(contentKey) != 32 {
		return ""
	}
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return ""
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil || len(decoded[2]) != gcm.NonceSize() || len(decoded[4]) != gcm.Overhead() {
		return ""
	}
	plaintext, err := gcm.Open(nil, decoded[2], append(decoded[3], decoded[4]...), []byte(parts[0]))
	if err != nil {
		return ""
	}
	return string(plaintext)
}

// publishedKeys are the API's public keys by kid: cached, fetched again for a new one, kept an hour without an answer.
type publishedKeys struct {
	url string

	mutex  sync.RWMutex // guards keys and since
	keys   map[string]*ecdsa.PublicKey
	since  time.Time
	single sync.Mutex // one fetches, the others wait for what it brings; guards tried and failed
	tried  time.Time
	failed bool
}

func (p *publishedKeys) get(kid string, now func() time.Time) (*ecdsa.PublicKey, error) {
	if key := p.youngerThan(cacheFor, kid, now()); key != nil {
		return key, nil
	}
	p.single.Lock()
	defer p.single.Unlock()
	if !isYounger(p.tried, refetchAfter, now()) {
		p.refresh(now())
	}
	if key := p.youngerThan(staleAfter, kid, now()); key != nil {
		return key, nil
	}
	if p.failed {
		return nil, KeysUnavailable
	}
	return nil, UnknownKey
}

func (p *publishedKeys) youngerThan(age time.Duration, kid string, now time.Time) *ecdsa.PublicKey {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	if !isYounger(p.since, age, now) {
		return nil
	}
	return p.keys[kid]
}

// isYounger compares ages; a clock set back makes nothing younger.
func isYounger(since time.Time, age time.Duration, now time.Time) bool {
	return !now.Before(since) && now.Sub(since) < age
}

func (p *publishedKeys) refresh(now time.Time) {
	p.tried = now
	keys := usable(fetch(p.url))
	p.failed = len(keys) == 0
	if !p.failed {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.keys, p.since = keys, now
	}
}

var client = http.Client{
	Timeout: fetchTimeout, // of the whole: name, handshake, header and body
	// Straight to the address: a Transport of its own has no proxy, whatever the environment says.
	Transport: &http.Transport{DisableKeepAlives: true},
	// Whoever could redirect us could name other keys.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// fetch reads at most maxJWKSBytes within fetchTimeout; nil where it cannot.
func fetch(url string) []byte {
	answer, err := client.Get(url)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxJWKSBytes+1))
	if err != nil || answer.StatusCode != http.StatusOK || len(body) > maxJWKSBytes {
		return nil
	}
	return body
}

// usable takes the keys that sign receipts, and only what is public of them; it leaves any others.
func usable(jwks []byte) map[string]*ecdsa.PublicKey {
	var set object
	var entries []json.RawMessage
	if !set.read(jwks) || json.Unmarshal(set["keys"], &entries) != nil {
		return nil
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, entry := range entries {
		var jwk object
		if !jwk.read(entry) {
			continue
		}
		if jwk.text("kty") != "EC" || jwk.text("crv") != "P-256" || jwk.text("use") != "sig" || jwk.text("alg") != "ES256" {
			continue
		}
		if !coordinate.MatchString(jwk.text("x")) || !coordinate.MatchString(jwk.text("y")) {
			continue
		}
		x, xErr := base64URL.DecodeString(jwk.text("x"))
		y, yErr := base64URL.DecodeString(jwk.text("y"))
		key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		if xErr == nil && yErr == nil && jwk.isText("kid") && key.Curve.IsOnCurve(key.X, key.Y) {
			keys[jwk.text("kid")] = key
		}
	}
	return keys
}

// object is a JSON object. A struct would take Aud for aud, and the wrong type of one member for the whole's.
type object map[string]json.RawMessage

// read takes UTF-8 that is nothing but that: json would replace what is not.
func (o *object) read(text []byte) bool {
	return utf8.Valid(text) && json.Unmarshal(text, o) == nil && *o != nil
}

func (o object) has(name string) bool {
	_, there := o[name]
	return there
}

func (o object) isText(name string) bool {
	return strings.HasPrefix(string(o[name]), `"`)
}

// text gives a member that is a string, else "".
func (o object) text(name string) string {
	var text string
	if !o.isText(name) || json.Unmarshal(o[name], &text) != nil {
		return ""
	}
	return text
}

// seconds gives a member that is a whole number, else 0.
func (o object) seconds(name string) int64 {
	var seconds int64
	if json.Unmarshal(o[name], &seconds) != nil {
		return 0
	}
	return seconds
}

func (o object) time(name string) time.Time {
	return time.Unix(o.seconds(name), 0)
}

// wellFormed tells whether every claim that is used has its type, and exactly one tells the number.
func (o object) wellFormed() bool {
	iat, exp := o.seconds("iat"), o.seconds("exp")
	forms := 0
	for _, form := range []string{"phoneNumHash", "phoneNumMasked", "phoneNumJwe"} {
		if o.has(form) {
			forms++
		}
	}
	return iat > 0 && exp > iat && exp-iat <= maxLifeSeconds &&
		jtiText.MatchString(o.text("jti")) &&
		o.isText("appId") && (!o.has("taskId") || o.isText("taskId")) &&
		forms == 1 &&
		(!o.has("phoneNumHash") || hash.MatchString(o.text("phoneNumHash"))) &&
		(!o.has("phoneNumMasked") || masked.MatchString(o.text("phoneNumMasked"))) &&
		(!o.has("phoneNumJwe") || o.isText("phoneNumJwe"))
}

// usedInThisProcess is right for one process. Only signed receipts get here, so it stays small.
type usedInThisProcess struct {
	now   func() time.Time
	mutex sync.Mutex
	until map[string]time.Time
	swept time.Time
}

func (u *usedInThisProcess) PutIfAbsent(jti string, until time.Time) (bool, error) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if now := u.now(); now.Sub(u.swept) > time.Minute {
		for old, over := range u.until {
			if !now.Before(over) {
				delete(u.until, old)
			}
		}
		u.swept = now
	}
	if _, used := u.until[jti]; used {
		return false, nil
	}
	u.until[jti] = until
	return true, nil
}
