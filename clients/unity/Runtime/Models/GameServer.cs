using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>The game server on which a session is played.</summary>
    public sealed class GameServer
    {
        /// <summary>A server at an address and port.</summary>
        public GameServer(string address, int port)
        {
            Address = address;
            Port = port;
        }

        internal GameServer(JObject json)
            : this(json.Text("address"), json.Int("port"))
        {
        }

        /// <summary>The host name or IP address.</summary>
        public string Address { get; }

        /// <summary>The port, 1 to 65535.</summary>
        public int Port { get; }

        internal JObject ToJson() => new JObject { ["address"] = Address, ["port"] = Port };
    }
}
