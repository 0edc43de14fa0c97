using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>One page of sessions.</summary>
    public sealed class SessionPage : Page<Session>
    {
        internal SessionPage(JObject json)
            : base(json.List("items", item => new Session(item)), json.TextOrNull("next_cursor"))
        {
        }
    }
}
