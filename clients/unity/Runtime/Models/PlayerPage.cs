using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>One page of players.</summary>
    public sealed class PlayerPage : Page<Player>
    {
        internal PlayerPage(JObject json)
            : base(json.List("items", item => new Player(item)), json.TextOrNull("next_cursor"))
        {
        }
    }
}
