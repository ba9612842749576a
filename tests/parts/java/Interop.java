import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import javax.crypto.Cipher;

/**
 * What the platform's customers use: the JCA with its defaults. Reads a command a line, words divided by spaces, keys
 * and bytes in Base64; answers each with a line, and ends at what it refuses.
 */
public final class Interop {
    public static void main(String[] arguments) throws Exception {
        var commands = new BufferedReader(new InputStreamReader(System.in));
        for (var line = commands.readLine(); line != null; line = commands.readLine()) {
            System.out.println(answer(line.split(" ", -1)));
        }
    }

    private static String answer(String[] words) throws GeneralSecurityException {
        return switch (words[0]) {
            case "sign" -> sign(words[1], privateKey(words[2]), bytes(words[3]));
            case "verify" -> verify(words[1], publicKey(words[2]), bytes(words[3]), bytes(words[4]));
            case "encrypt" -> apply(Cipher.ENCRYPT_MODE, publicKey(words[1]), bytes(words[2]));
            case "decrypt" -> apply(Cipher.DECRYPT_MODE, privateKey(words[1]), bytes(words[2]));
            default -> throw new IllegalArgumentException(words[0]);
        };
    }

    private static String sign(String algorithm, PrivateKey key, byte[] message) throws GeneralSecurityException {
        var signature = Signature.getInstance(algorithm);
        signature.initSign(key);
        signature.update(message);
        return text(signature.sign());
    }

    private static String verify(String algorithm, PublicKey key, byte[] message, byte[] signed)
            throws GeneralSecurityException {
        var signature = Signature.getInstance(algorithm);
        signature.initVerify(key);
        signature.update(message);
        return String.valueOf(signature.verify(signed));
    }

    private static String apply(int mode, Key key, byte[] data) throws GeneralSecurityException {
        var cipher = Cipher.getInstance("RSA");
        cipher.init(mode, key);
        return text(cipher.doFinal(data));
    }

    private static PrivateKey privateKey(String text) throws GeneralSecurityException {
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(bytes(text)));
    }

    private static PublicKey publicKey(String text) throws GeneralSecurityException {
        return KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(bytes(text)));
    }

    private static byte[] bytes(String text) {
        return Base64.getDecoder().decode(text);
    }

    private static String text(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}
