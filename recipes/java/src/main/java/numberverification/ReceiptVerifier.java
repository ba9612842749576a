package numberverification;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.ECFieldFp;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jose4j.jwa.AlgorithmConstraints;
import org.jose4j.jwa.AlgorithmConstraints.ConstraintType;
import org.jose4j.jwe.JsonWebEncryption;
import org.jose4j.jwk.EllipticCurveJsonWebKey;
import org.jose4j.jwk.RsaJsonWebKey;
import org.jose4j.jws.JsonWebSignature;
import org.jose4j.json.JsonUtil;
import org.jose4j.lang.JoseException;

/**
 * Number verification receipts, checked in your back end. Copy this file; it needs Java 17 and jose4j 0.9.6.
 *
 * <p>A page can lie; a receipt cannot. It is a JWT that the number verification API signs when a carrier has confirmed
 * that a number belongs to the phone in the user's hand. Make one verifier when your service starts:
 *
 * <pre>{@code
 * var receipts = new ReceiptVerifier("https://api.example.com/.well-known/jwks.json", "https://www.abc.com");
 * }</pre>
 *
 * and log nobody in unless this returns, with the nonce that your back end gave this very session:
 *
 * <pre>{@code
 * var claims = receipts.verify(receipt, nonce);
 * }</pre>
 *
 * Threads may share a verifier.
 */
public final class ReceiptVerifier {
    private static final int MAX_RECEIPT_LENGTH = 8192;
    private static final int MAX_LIFE_SECONDS = 600;
    private static final int LEEWAY_SECONDS = 5;
    private static final int FETCH_SECONDS = 3;
    private static final int MAX_JWKS_BYTES = 65536;
    private static final int CACHE_SECONDS = 300;
    private static final int REFETCH_SECONDS = 10;
    private static final int STALE_SECONDS = 3600;

    // The keys come from this one address, over TLS; without it only where nobody can listen, on this machine.
    private static final Pattern ADDRESS = Pattern.compile(
            "(https://[^/?#@\\s][^?#@\\s]*|http://(?:127\\.0\\.0\\.1|localhost|\\[::1\\])(?::[0-9]+)?)"
                    + "/\\.well-known/jwks\\.json");
    private static final Pattern COMPACT = Pattern.compile("[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+");
    private static final Pattern COORDINATE = Pattern.compile("[A-Za-z0-9_-]{43}"); // 32 bytes (RFC 7518, 6.2.1.2)
    private static final Pattern JTI = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern HASH = Pattern.compile("[0-9a-f]{64}");
    private static final Pattern MASKED = Pattern.compile("[0-9]{3}\\*{4}[0-9]{4}");
    private static final Pattern NUMBER = Pattern.compile("[0-9]{11}");

    /** Why a receipt is refused; the README says what to do about each. */
    public enum Reason {
        MALFORMED,
        WRONG_ALGORITHM,
        WRONG_TYPE,
        UNKNOWN_KEY,
        KEYS_UNAVAILABLE,
        BAD_SIGNATURE,
        WRONG_ISSUER,
        WRONG_AUDIENCE,
        NOT_YET_VALID,
        EXPIRED,
        WRONG_NONCE,
        NUMBER_UNDECIPHERABLE,
        REPLAYED;

        /** The reason as the other languages spell it, such as wrong_nonce. */
        public String code() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** A refused receipt. The message is the reason and no more, so it may be logged. */
    public static final class ReceiptException extends Exception {
        private static final long serialVersionUID = 1;
        private final Reason reason;

        ReceiptException(Reason reason) {
            super(reason.code());
            this.reason = reason;
        }

        public Reason reason() {
            return reason;
        }
    }

    /** What a receipt says. Of the three forms of the number it has the one that the API is set to, else null. */
    public record Claims(
            String jti,
            String appId,
            String taskId,
            String audience,
            Instant issuedAt,
            Instant expiresAt,
            String phoneNum,
            String phoneNumMasked,
            String phoneNumHash) {
        /** Leaves the number out, so that it gets into no log. */
        @Override
        public String toString() {
            return "Claims[jti=" + jti + "]";
        }
    }

    /** Remembers which receipts have been used. */
    @FunctionalInterface
    public interface UsedReceipts {
        /**
         * Remembers a receipt until a moment, in one atomic step; false where it is there already. With more than one
         * process, keep it where all of them look. In Redis, with Jedis:
         *
         * <pre>{@code
         * var life = Duration.between(Instant.now(), until).toSeconds() + 1; // rounded up: never forgotten too soon
         * return "OK".equals(redis.set("receipt:" + jti, "1", SetParams.setParams().nx().ex(life)));
         * }</pre>
         */
        boolean putIfAbsent(String jti, Instant until);
    }

    /** The default: right for one process. Only signed receipts get here, so it stays small. */
    public static final class UsedInThisProcess implements UsedReceipts {
        private final Clock clock;
        private final Map<String, Instant> used = new LinkedHashMap<>(); // the oldest first

        public UsedInThisProcess(Clock clock) {
            this.clock = clock;
        }

        @Override
        public synchronized boolean putIfAbsent(String jti, Instant until) {
            var now = clock.instant();
            for (var oldest = used.values().iterator(); oldest.hasNext() && !oldest.next().isAfter(now); ) {
                oldest.remove();
            }
            return used.putIfAbsent(jti, until) == null;
        }
    }

    private final String issuer;
    private final Set<String> audiences;
    private final PublishedKeys keys;
    private final Map<String, PrivateKey> decryptionKeys;
    private final UsedReceipts used;
    private final Clock clock;

    /**
     * Makes one that remembers used receipts for this process and decrypts no numbers.
     *
     * @param jwksUrl where the API publishes its public keys; what comes before /.well-known is the issuer
     * @param audiences the origins of your own pages, such as https://www.abc.com
     */
    public ReceiptVerifier(String jwksUrl, String... audiences) {
        this(jwksUrl, List.of(audiences), List.of(), new UsedInThisProcess(Clock.systemUTC()), Clock.systemUTC());
    }

    /**
     * Makes one.
     *
     * @param jwksUrl where the API publishes its public keys; what comes before /.well-known is the issuer
     * @param audiences the origins of your own pages, such as https://www.abc.com
     * @param decryptionKeys your RSA private keys (PEM of PKCS#8), where the API is set to encrypt the number: the one
     *     in use and, while you change it, the one before
     * @param used what remembers used receipts
     * @param clock tells the time
     */
    public ReceiptVerifier(
            String jwksUrl,
            Collection<String> audiences,
            Collection<String> decryptionKeys,
            UsedReceipts used,
            Clock clock) {
        var address = ADDRESS.matcher(jwksUrl);
        if (!address.matches()) {
            throw new IllegalArgumentException(
                    "jwksUrl is not https://HOST/.well-known/jwks.json (http: on loopback alone)");
        }
        if (audiences.isEmpty()) {
            throw new IllegalArgumentException(
                    "name the origin of your page: without it, receipts for other pages would do");
        }
        this.issuer = address.group(1);
        this.audiences = Set.copyOf(audiences);
        this.keys = new PublishedKeys(URI.create(jwksUrl), clock);
        this.decryptionKeys = byThumbprint(decryptionKeys);
        this.used = used;
        this.clock = clock;
    }

    /**
     * Checks a receipt, and uses it up.
     *
     * @param receipt as the page sent it
     * @param nonce what your back end gave this session, out of its own store: never what the page sends along
     * @throws ReceiptException log nobody in
     */
    public Claims verify(String receipt, String nonce) throws ReceiptException {
        var claims = checked(receipt);
        if (nonce == null || nonce.isEmpty() || !same(claims.get("nonce"), nonce)) {
            throw new ReceiptException(Reason.WRONG_NONCE);
        }
        return use(claims);
    }

    /**
     * Checks a receipt that was asked for without a nonce, and uses it up. Weaker: whoever gets hold of somebody's
     * receipt within its two minutes can be first to log in with it.
     *
     * @throws ReceiptException log nobody in
     */
    public Claims verifyWithoutNonce(String receipt) throws ReceiptException {
        var claims = checked(receipt);
        if (claims.containsKey("nonce")) {
            throw new ReceiptException(Reason.WRONG_NONCE);
        }
        return use(claims);
    }

    /** What {@code phoneNumHash} is for a number of 11 digits, with the receipt secret's hashKey. */
    public static String hashOfNumber(String phoneNum, String hashKey) {
        try {
            var mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(hashKey.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
            return HexFormat.of().formatHex(mac.doFinal(phoneNum.getBytes(StandardCharsets.UTF_8)));
        } catch (GeneralSecurityException impossible) {
            throw new IllegalStateException(impossible); // every Java has HmacSHA256
        }
    }

    /** Whether a hash is of this number, in a time that does not depend on how much of it is right. */
    public static boolean isNumber(String phoneNumHash, String phoneNum, String hashKey) {
        return same(phoneNumHash, hashOfNumber(phoneNum, hashKey));
    }

    /** Checks everything but the nonce and that it is the first use. */
    private Map<String, Object> checked(String receipt) throws ReceiptException {
        var claims = signedClaims(receipt);
        if (!issuer.equals(claims.get("iss"))) {
            throw new ReceiptException(Reason.WRONG_ISSUER);
        }
        // One origin: a list is refused, even a list of one.
        if (!(claims.get("aud") instanceof String audience) || !audiences.contains(audience)) {
            throw new ReceiptException(Reason.WRONG_AUDIENCE);
        }
        if (!wellFormed(claims)) {
            throw new ReceiptException(Reason.MALFORMED);
        }
        var now = clock.millis() / 1000.0;
        if (now < (Long) claims.get("iat") - LEEWAY_SECONDS) {
            throw new ReceiptException(Reason.NOT_YET_VALID);
        }
        if (now >= (Long) claims.get("exp") + LEEWAY_SECONDS) {
            throw new ReceiptException(Reason.EXPIRED);
        }
        return claims;
    }

    /** Checks header and signature; only then reads what is signed. */
    private Map<String, Object> signedClaims(String receipt) throws ReceiptException {
        if (receipt == null || receipt.length() > MAX_RECEIPT_LENGTH || !COMPACT.matcher(receipt).matches()) {
            throw new ReceiptException(Reason.MALFORMED);
        }
        var parts = receipt.split("\\.");
        var header = objectOf(bytesOf(parts[0]));
        var payload = bytesOf(parts[1]);
        bytesOf(parts[2]);
        // What the header says chooses among our own keys, and nothing else: the algorithm is settled.
        if (!"ES256".equals(header.get("alg"))) {
            throw new ReceiptException(Reason.WRONG_ALGORITHM);
        }
        if (!"number-verification+jwt".equals(header.get("typ"))) {
            throw new ReceiptException(Reason.WRONG_TYPE);
        }
        // No crit, no b64, and no key or address of the sender's own.
        if (!header.keySet().equals(Set.of("alg", "typ", "kid")) || !(header.get("kid") instanceof String kid)) {
            throw new ReceiptException(Reason.MALFORMED);
        }
        if (!isSigned(receipt, keys.get(kid))) {
            throw new ReceiptException(Reason.BAD_SIGNATURE);
        }
        return objectOf(payload);
    }

    private static boolean isSigned(String receipt, PublicKey key) {
        try {
            var signature = new JsonWebSignature();
            signature.setAlgorithmConstraints(new AlgorithmConstraints(ConstraintType.PERMIT, "ES256"));
            signature.setCompactSerialization(receipt);
            signature.setKey(key);
            return signature.verifySignature();
        } catch (JoseException error) {
            return false;
        }
    }

    /** Reads the number; has the receipt count as used from here on. */
    private Claims use(Map<String, Object> claims) throws ReceiptException {
        var phoneNum = claims.containsKey("phoneNumJwe") ? decrypted(text(claims, "phoneNumJwe")) : null;
        var expiresAt = instant(claims.get("exp"));
        if (!used.putIfAbsent(text(claims, "jti"), expiresAt.plusSeconds(LEEWAY_SECONDS))) {
            throw new ReceiptException(Reason.REPLAYED);
        }
        return new Claims(
                text(claims, "jti"),
                text(claims, "appId"),
                text(claims, "taskId"),
                text(claims, "aud"),
                instant(claims.get("iat")),
                expiresAt,
                phoneNum,
                text(claims, "phoneNumMasked"),
                text(claims, "phoneNumHash"));
    }

    private String decrypted(String encrypted) throws ReceiptException {
        var number = "";
        try {
            var envelope = new JsonWebEncryption();
            envelope.setAlgorithmConstraints(new AlgorithmConstraints(ConstraintType.PERMIT, "RSA-OAEP-256"));
            envelope.setContentEncryptionAlgorithmConstraints(
                    new AlgorithmConstraints(ConstraintType.PERMIT, "A256GCM"));
            envelope.setCompactSerialization(encrypted);
            envelope.setKey(decryptionKeys.get(envelope.getKeyIdHeaderValue()));
            number = envelope.getPlaintextString();
        } catch (JoseException error) {
            // Encrypted for another key, or damaged.
        }
        if (!NUMBER.matcher(number).matches()) {
            throw new ReceiptException(Reason.NUMBER_UNDECIPHERABLE);
        }
        return number;
    }

    /** The API's public keys by kid: cached, fetched again for a new one, kept an hour without an answer. */
    private static final class PublishedKeys {
        private record Cached(Instant since, Map<String, PublicKey> keys) {}

        private final HttpClient client = HttpClient.newBuilder()
                .followRedirects(HttpClient.Redirect.NEVER) // whoever could redirect us could name other keys
                .proxy(HttpClient.Builder.NO_PROXY)
                .connectTimeout(Duration.ofSeconds(FETCH_SECONDS))
                .build();
        private final URI address;
        private final Clock clock;
        private volatile Cached cached = new Cached(Instant.MIN, Map.of());
        private Instant tried = Instant.MIN;
        private boolean failed;

        PublishedKeys(URI address, Clock clock) {
            this.address = address;
            this.clock = clock;
        }

        PublicKey get(String kid) throws ReceiptException {
            var key = youngerThan(CACHE_SECONDS).get(kid);
            return key != null ? key : refreshed(kid);
        }

        /** One fetches, the others wait for what it brings. */
        private synchronized PublicKey refreshed(String kid) throws ReceiptException {
            if (!isYounger(tried, REFETCH_SECONDS)) {
                refresh();
            }
            var key = youngerThan(STALE_SECONDS).get(kid);
            if (key == null) {
                throw new ReceiptException(failed ? Reason.KEYS_UNAVAILABLE : Reason.UNKNOWN_KEY);
            }
            return key;
        }

        private Map<String, PublicKey> youngerThan(int seconds) {
            var now = cached;
            return isYounger(now.since(), seconds) ? now.keys() : Map.of();
        }

        /** A clock set back makes nothing younger. */
        private boolean isYounger(Instant since, int seconds) {
            var now = clock.instant();
            return !now.isBefore(since) && now.minusSeconds(seconds).isBefore(since);
        }

        private void refresh() {
            tried = clock.instant();
            Map<String, PublicKey> keys;
            try {
                keys = usable(JsonUtil.parseJson(fetched()));
            } catch (IOException | JoseException error) {
                keys = Map.of();
            }
            failed = keys.isEmpty();
            if (!failed) {
                cached = new Cached(tried, keys);
            }
        }

        /** Reads at most MAX_JWKS_BYTES within FETCH_SECONDS, straight from the address: no redirect, no proxy. */
        private String fetched() throws IOException {
            var body = new ByteArrayOutputStream();
            var answer = client.sendAsync(
                    HttpRequest.newBuilder(address).build(),
                    HttpResponse.BodyHandlers.ofByteArrayConsumer(chunk -> {
                        if (chunk.isPresent() && body.size() <= MAX_JWKS_BYTES) {
                            body.writeBytes(chunk.get());
                        }
                    }));
            try {
                var status = answer.get(FETCH_SECONDS, TimeUnit.SECONDS).statusCode();
                if (status == 200 && body.size() <= MAX_JWKS_BYTES) {
                    return utf8(body.toByteArray());
                }
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            } catch (ExecutionException | TimeoutException error) {
                // As if there were none.
            } finally {
                answer.cancel(true);
            }
            throw new IOException("no keys");
        }

        /** Takes the keys that sign receipts, and only what is public of them; leaves any others. */
        private static Map<String, PublicKey> usable(Map<String, Object> jwks) {
            var keys = new HashMap<String, PublicKey>();
            for (var entry : jwks.get("keys") instanceof List<?> list ? list : List.of()) {
                if (!(entry instanceof Map<?, ?> jwk)
                        || !(jwk.get("kid") instanceof String kid)
                        || !(jwk.get("x") instanceof String x)
                        || !(jwk.get("y") instanceof String y)
                        || !COORDINATE.matcher(x).matches()
                        || !COORDINATE.matcher(y).matches()
                        || !Stream.of("kty", "crv", "use", "alg").map(jwk::get).toList()
                                .equals(List.of("EC", "P-256", "sig", "ES256"))) {
                    continue;
                }
                try {
                    var members = Map.<String, Object>of("kty", "EC", "crv", "P-256", "x", x, "y", y);
                    var key = new EllipticCurveJsonWebKey(members).getECPublicKey();
                    if (isOnCurve(key)) {
                        keys.put(kid, key);
                    }
                } catch (JoseException error) {
                    // No key at all.
                }
            }
            return keys;
        }

        /** jose4j takes any two numbers; those of a key are a point: y² = x³ + ax + b. */
        private static boolean isOnCurve(ECPublicKey key) {
            var curve = key.getParams().getCurve();
            var p = ((ECFieldFp) curve.getField()).getP();
            var x = key.getW().getAffineX();
            var y = key.getW().getAffineY();
            var right = x.pow(2).add(curve.getA()).multiply(x).add(curve.getB());
            return x.max(y).compareTo(p) < 0 && y.pow(2).subtract(right).mod(p).signum() == 0;
        }
    }

    /** Whether every claim that is used has its type, and exactly one tells the number. */
    private static boolean wellFormed(Map<String, Object> claims) {
        var forms = Stream.of("phoneNumHash", "phoneNumMasked", "phoneNumJwe").filter(claims::containsKey).toList();
        return claims.get("iat") instanceof Long iat
                && claims.get("exp") instanceof Long exp
                && iat > 0
                && exp > iat
                && exp - iat <= MAX_LIFE_SECONDS
                && claims.get("jti") instanceof String jti
                && JTI.matcher(jti).matches()
                && claims.get("appId") instanceof String
                && claims.getOrDefault("taskId", "") instanceof String
                && forms.size() == 1
                && claims.get(forms.get(0)) instanceof String number
                && switch (forms.get(0)) {
                    case "phoneNumHash" -> HASH.matcher(number).matches();
                    case "phoneNumMasked" -> MASKED.matcher(number).matches();
                    default -> true;
                };
    }

    private static Map<String, Object> objectOf(byte[] json) throws ReceiptException {
        try {
            return JsonUtil.parseJson(utf8(json));
        } catch (IOException | JoseException error) {
            throw new ReceiptException(Reason.MALFORMED);
        }
    }

    /** Decodes UTF-8 that is nothing but that. */
    private static String utf8(byte[] text) throws IOException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString();
    }

    /** Decodes Base64url in its one canonical spelling, so that no receipt has two. */
    private static byte[] bytesOf(String part) throws ReceiptException {
        try {
            var bytes = Base64.getUrlDecoder().decode(part);
            if (Base64.getUrlEncoder().withoutPadding().encodeToString(bytes).equals(part)) {
                return bytes;
            }
        } catch (IllegalArgumentException error) {
            // Not Base64url.
        }
        throw new ReceiptException(Reason.MALFORMED);
    }

    /** Compares texts in a time that does not depend on where they differ. */
    private static boolean same(Object left, String right) {
        return left instanceof String text
                && MessageDigest.isEqual(
                        text.getBytes(StandardCharsets.UTF_8), right.getBytes(StandardCharsets.UTF_8));
    }

    private static String text(Map<String, Object> claims, String name) {
        return (String) claims.get(name);
    }

    private static Instant instant(Object seconds) {
        return Instant.ofEpochSecond((Long) seconds);
    }

    private static Map<String, PrivateKey> byThumbprint(Collection<String> pems) {
        var keys = new HashMap<String, PrivateKey>();
        try {
            var rsa = KeyFactory.getInstance("RSA");
            for (var pem : pems) {
                var encoded = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
                var key = (RSAPrivateCrtKey) rsa.generatePrivate(new PKCS8EncodedKeySpec(encoded));
                var half = new RSAPublicKeySpec(key.getModulus(), key.getPublicExponent());
                var jwk = new RsaJsonWebKey((RSAPublicKey) rsa.generatePublic(half));
                keys.put(jwk.calculateBase64urlEncodedThumbprint("SHA-256"), key);
            }
        } catch (GeneralSecurityException | IllegalArgumentException error) {
            throw new IllegalArgumentException("a decryption key is not the PEM of an RSA private key (PKCS#8)");
        }
        return keys;
    }
}
