import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer;
import org.eclipse.jetty.server.Server;

/**
 * Starts AWS's DynamoDB Local in memory, on loopback and a free port, which its own command line cannot do: that
 * listens on every interface. Prints "listening on PORT" and ends with its standard input.
 */
public final class LoopbackDynamoDb {
    public static void main(String[] arguments) throws Exception {
        var options = new String[] {"-inMemory", "-sharedDb"};
        var dynamoDb = ServerRunner.createServerFromCommandLineArgs(options);
        var field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        var connector = ((Server) field.get(dynamoDb)).getConnectors()[0];
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        dynamoDb.start();
        System.out.println("listening on " + connector.getLocalPort());
        while (System.in.read() >= 0) {
            // whoever started this is still there
        }
        System.exit(0);
    }
}
