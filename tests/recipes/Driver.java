import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import numberverification.ReceiptVerifier;
import numberverification.ReceiptVerifier.Claims;
import numberverification.ReceiptVerifier.ReceiptException;
import numberverification.ReceiptVerifier.UsedInThisProcess;
import org.jose4j.jwa.AlgorithmConstraints.ConstraintType;
import org.jose4j.jwk.HttpsJwks;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.json.JsonUtil;
import org.jose4j.keys.resolvers.HttpsJwksVerificationKeyResolver;

/**
 * Puts the Java recipe at the tests' disposal: a command a line in JSON on standard input, an answer a line.
 */
public final class Driver {
    private static final List<ReceiptVerifier> VERIFIERS = new ArrayList<>();
    private static volatile Instant now = Instant.EPOCH;

    /** A clock that is set by hand. */
    private static final Clock CLOCK = new Clock() {
        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }

        @Override
        public Instant instant() {
            return now;
        }
    };

    public static void main(String[] arguments) throws Exception {
        var commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (var line = commands.readLine(); line != null; line = commands.readLine()) {
            System.out.println(JsonUtil.toJson(answer(JsonUtil.parseJson(line))));
        }
    }

    private static Map<String, Object> answer(Map<String, Object> command) throws Exception {
        if (command.get("at") instanceof Number at) {
            now = Instant.ofEpochMilli(Math.round(at.doubleValue() * 1000));
        }
        return switch (text(command, "do")) {
            case "new" -> create(command);
            case "verify" -> verify(command, text(command, "receipt"));
            case "race" -> race(command);
            case "hash" -> Map.of("hash", ReceiptVerifier.hashOfNumber(text(command, "number"), text(command, "key")));
            case "is" -> Map.of(
                    "is",
                    ReceiptVerifier.isNumber(text(command, "hash"), text(command, "number"), text(command, "key")));
            case "library" -> library(command);
            default -> throw new IllegalArgumentException();
        };
    }

    private static Map<String, Object> create(Map<String, Object> command) {
        try {
            VERIFIERS.add(new ReceiptVerifier(
                    text(command, "jwks"),
                    texts(command, "audiences"),
                    texts(command, "keys"),
                    (Boolean) command.get("full") ? Driver::putIntoFullStore : new UsedInThisProcess(CLOCK),
                    CLOCK));
        } catch (IllegalArgumentException error) {
            return Map.of("unusable", error.getMessage());
        }
        return Map.of("verifier", VERIFIERS.size() - 1);
    }

    /** Has seen everything; asked about what it does not know, it fails. */
    private static boolean putIntoFullStore(String jti, Instant until) {
        if (jti.startsWith("seen-until-")) {
            return !jti.equals("seen-until-" + until.getEpochSecond());
        }
        throw new UncheckedIOException(new IOException());
    }

    private static Map<String, Object> race(Map<String, Object> command) throws Exception {
        var receipts = texts(command, "receipts");
        var threads = Executors.newFixedThreadPool(receipts.size());
        try {
            var calls = receipts.stream()
                    .map(receipt -> (Callable<Map<String, Object>>) () -> verify(command, receipt))
                    .toList();
            var answers = new ArrayList<Object>();
            for (var call : threads.invokeAll(calls)) {
                answers.add(call.get());
            }
            return Map.of("answers", answers);
        } finally {
            threads.shutdown();
        }
    }

    private static Map<String, Object> verify(Map<String, Object> command, String receipt) {
        var verifier = VERIFIERS.get(((Number) command.get("verifier")).intValue());
        try {
            var claims = command.containsKey("nonce")
                    ? verifier.verify(receipt, text(command, "nonce"))
                    : verifier.verifyWithoutNonce(receipt);
            return Map.of("claims", wire(claims), "shown", claims.toString());
        } catch (ReceiptException error) {
            return Map.of("reason", error.reason().code(), "text", error.getMessage(), "shown", error.toString());
        } catch (UncheckedIOException error) {
            return Map.of("failed", true);
        }
    }

    private static Map<String, Object> wire(Claims claims) {
        var said = new LinkedHashMap<String, Object>();
        said.put("jti", claims.jti());
        said.put("appId", claims.appId());
        said.put("taskId", claims.taskId());
        said.put("aud", claims.audience());
        said.put("iat", claims.issuedAt().getEpochSecond());
        said.put("exp", claims.expiresAt().getEpochSecond());
        said.put("phoneNum", claims.phoneNum());
        said.put("phoneNumMasked", claims.phoneNumMasked());
        said.put("phoneNumHash", claims.phoneNumHash());
        said.values().removeIf(value -> value == null);
        return said;
    }

    /** Nothing of ours: what the library's documentation says. */
    private static Map<String, Object> library(Map<String, Object> command) throws Exception {
        var consumer = new JwtConsumerBuilder()
                .setJwsAlgorithmConstraints(ConstraintType.PERMIT, "ES256")
                .setVerificationKeyResolver(new HttpsJwksVerificationKeyResolver(new HttpsJwks(text(command, "jwks"))))
                .setExpectedType(true, "number-verification+jwt")
                .setExpectedIssuer(text(command, "issuer"))
                .setExpectedAudience(text(command, "audience"))
                .setRequireExpirationTime()
                .setRequireIssuedAt()
                .setRequireJwtId()
                .build();
        return Map.of("claims", consumer.processToClaims(text(command, "receipt")).getClaimsMap());
    }

    private static String text(Map<String, Object> command, String name) {
        return (String) command.get(name);
    }

    private static List<String> texts(Map<String, Object> command, String name) {
        return ((List<?>) command.get(name)).stream().map(text -> (String) text).toList();
    }
}
