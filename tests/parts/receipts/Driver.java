import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.security.GeneralSecurityException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jose4j.json.JsonUtil;
import org.jose4j.jwt.JwtClaims;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.lang.UnresolvableKeyException;

/** Tries the page's code: a receipt a line in JSON on standard input, an answer a line. */
public final class Driver {
    public static void main(String[] arguments) throws Exception {
        Set<String> used = new HashSet<>();
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> asked = JsonUtil.parseJson(line);
            Map<String, Object> answer = new HashMap<>();
            try {
                JwtClaims claims = Receipts.check((String) asked.get("receipt"), (String) asked.get("nonce"), used::add);
                answer.put("claims", claims.getClaimsMap());
                answer.put("isOf", Receipts.isOf(claims, (String) asked.get("number"), (String) asked.get("hashKey")));
            } catch (InvalidJwtException | GeneralSecurityException refusal) {
                answer.put("refused", refusal.toString());
                answer.put("unavailable", refusal.getCause() instanceof UnresolvableKeyException key
                        && key.getCause() instanceof IOException);
            }
            System.out.println(JsonUtil.toJson(answer));
        }
    }
}
